import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { AccessLog } from '../../../src/telemetry/access-log.ts';
import { denied, flow } from './flows.ts';

function setUp() {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) },
  );
  return { access: new AccessLog({ log }), lines };
}

const WEB_TO_DB = {
  component: 'access',
  'src.addr': '10.0.0.1:40000',
  'src.workload': 'web-1',
  'src.namespace': 'shop',
  'src.identity': 'spiffe://cluster.local/ns/shop/sa/web',
  'dst.addr': '10.0.0.2:5432',
  'dst.dialled_addr': '10.1.0.1:5432',
  'dst.service': 'db.shop.svc.cluster.local',
  'dst.workload': 'db-1',
  'dst.namespace': 'shop',
  'dst.identity': 'spiffe://cluster.local/ns/shop/sa/db',
  direction: 'outbound',
};

test('a connection that ended is one line with ztunnel’s keys', () => {
  const { access, lines } = setUp();
  access.closed(flow(1n));
  assert.deepEqual(lines, [
    {
      level: 'info',
      ...WEB_TO_DB,
      bytes_sent: 100,
      bytes_recv: 2000,
      duration: '12ms',
      path: 'spliced',
      bytes_spliced: 2100,
      msg: 'connection complete',
    },
  ]);
});

test('a connection that stayed on TCP says why', () => {
  const { access, lines } = setUp();
  access.closed(flow(1n, { path: 'plain', reason: 'waiter', policy: 'shop/allow-web' }));
  assert.equal(lines[0]!['level'], 'info');
  assert.equal(lines[0]!['not_spliced'], 'waiter');
  assert.equal(lines[0]!['policy'], 'shop/allow-web');
  assert.ok(!('error' in lines[0]!));
});

for (const reason of ['revoked', 'stalled-reader']) {
  test(`a connection cut because ${reason} is an error`, () => {
    const { access, lines } = setUp();
    access.closed(flow(1n, { reason }));
    assert.equal(lines[0]!['level'], 'error');
    assert.equal(lines[0]!['error'], reason);
    assert.ok(!('not_spliced' in lines[0]!));
  });
}

test('a refused connection is a warning with reason and policy', () => {
  const { access, lines } = setUp();
  access.denied(denied('policy'));
  assert.deepEqual(lines, [
    {
      level: 'warn',
      ...WEB_TO_DB,
      policy: 'shop/only-web',
      error: 'policy',
      msg: 'connection failed',
    },
  ]);
});

test('a client outside of the mesh has an address only, in brackets when it is IPv6', () => {
  const { access, lines } = setUp();
  const source = { address: '2001:db8::1', port: 7, workload: undefined, identity: '' };
  access.closed(flow(1n, { source, reporters: ['destination'] }));
  assert.equal(lines[0]!['src.addr'], '[2001:db8::1]:7');
  assert.ok(!('src.workload' in lines[0]!) && !('src.identity' in lines[0]!));
  assert.equal(lines[0]!['direction'], 'inbound');
});
