import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createLog, type LogLevel } from '../../../src/log.ts';
import { AccessLog, closedLine, deniedLine } from '../../../src/telemetry/access-log.ts';
import { DB, denied, flow, WEB, type Flow } from './flows.ts';

type Line = Record<string, unknown>;

function setUp(level: LogLevel = 'info') {
  const written: string[] = [];
  const log = createLog({ level, pretty: false }, { write: (text) => written.push(text) });
  const access = new AccessLog({ log });
  const raw = (): string => {
    access.flush();
    return written.join('');
  };
  return {
    log,
    access,
    written,
    raw,
    close: (one: Flow) => access.closed(closedLine(one), one),
    deny: (one: Flow) => access.denied(deniedLine(one), one),
    lines: () =>
      raw()
        .trimEnd()
        .split('\n')
        .map((text) => withoutTime(JSON.parse(text) as Line)),
  };
}

function withoutTime({ time, ...rest }: Line): Line {
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  return rest;
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
  const { close, lines } = setUp();
  close(flow(1));
  assert.deepEqual(lines(), [
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
  const { close, lines } = setUp();
  close(flow(1, { path: 'plain', reason: 'waiter', policy: 'shop/allow-web' }));
  const [line = {}] = lines();
  assert.equal(line['level'], 'info');
  assert.equal(line['not_spliced'], 'waiter');
  assert.equal(line['policy'], 'shop/allow-web');
  assert.ok(!('error' in line));
});

for (const reason of ['revoked', 'stalled-reader']) {
  test(`a connection cut because ${reason} is an error`, () => {
    const { close, lines } = setUp();
    close(flow(1, { reason }));
    const [line = {}] = lines();
    assert.equal(line['level'], 'error');
    assert.equal(line['error'], reason);
    assert.ok(!('not_spliced' in line));
  });
}

test('a refused connection is a warning with reason and policy', () => {
  const { deny, lines } = setUp();
  deny(denied('policy'));
  assert.deepEqual(lines(), [
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
  const { close, lines } = setUp();
  const source = { address: '2001:db8::1', workload: undefined, identity: '' };
  close(flow(1, { source, sourcePort: 7, reporters: ['destination'] }));
  const [line = {}] = lines();
  assert.equal(line['src.addr'], '[2001:db8::1]:7');
  assert.ok(!('src.workload' in line) && !('src.identity' in line));
  assert.equal(line['direction'], 'inbound');
});

test('a line is byte for byte what pino would write, whatever the names hold', () => {
  /* no lone surrogates: pino writes some of them raw, this log escapes them all, and no name has any */
  const unit = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 1 }),
    fc.constantFrom(...'"\\\n\u2028é'),
  );
  const text = fc.string({ unit });
  const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(text, text, count, count, fc.nat(65_535), (name, policy, sent, spliced, port) => {
      const { log, close, raw, written } = setUp();
      const one = flow(1, {
        source: { address: 'fd00::1', workload: { ...WEB, name }, identity: name },
        destination: {
          address: '10.0.0.2',
          port: 1,
          workload: { ...DB, namespace: name },
          identity: '',
        },
        ...{ dialled: undefined, service: undefined, path: 'plain', reason: 'waiter' },
        ...{ policy, sourcePort: port, bytesSent: sent, redirectedBytes: spliced },
      });
      close(one);
      const ours = raw();
      written.length = 0;
      log.child({ component: 'access' }).info(
        {
          'src.addr': `[fd00::1]:${port}`,
          'src.workload': name,
          'src.namespace': 'shop',
          'src.identity': name || undefined,
          'dst.addr': '10.0.0.2:1',
          'dst.workload': 'db-1',
          'dst.namespace': name,
          direction: 'outbound',
          bytes_sent: sent,
          bytes_recv: 2000,
          duration: '12ms',
          path: 'plain',
          bytes_spliced: spliced,
          not_spliced: 'waiter',
          policy: policy || undefined,
        },
        'connection complete',
      );
      const time = /"time":"[^"]*"/;
      assert.equal(ours.replace(time, ''), written.join('').replace(time, ''));
      JSON.parse(ours);
    }),
  );
});

test('a refused line is byte for byte what pino would write', () => {
  const { log, deny, raw, written } = setUp();
  deny(denied('policy'));
  const ours = raw();
  written.length = 0;
  const { component, ...rest } = WEB_TO_DB;
  log
    .child({ component })
    .warn({ ...rest, policy: 'shop/only-web', error: 'policy' }, 'connection failed');
  const time = /"time":"[^"]*"/;
  assert.equal(ours.replace(time, ''), written.join('').replace(time, ''));
});

test('a batch is written in pieces of 64 KiB of whole lines, in order, the rest at its end', () => {
  const { access, close, written } = setUp();
  for (let id = 1; id <= 1000; id++) close(flow(id, { bytesSent: id }));
  const whole = written.length;
  assert.ok(whole > 2 && whole < 20, String(whole));
  access.flush();
  access.flush();
  assert.equal(written.length, whole + 1);
  assert.ok(written.every((piece) => piece.endsWith('}\n')));
  const sent = written
    .join('')
    .trimEnd()
    .split('\n')
    .map((text) => (JSON.parse(text) as Line)['bytes_sent']);
  assert.deepEqual(
    sent,
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
});

test('what is below the level is not written', () => {
  const { close, deny, raw } = setUp('error');
  close(flow(1));
  deny(denied('policy'));
  assert.equal(raw(), '');
  close(flow(2, { reason: 'revoked' }));
  assert.match(raw(), /"level":"error".*"error":"revoked"/);
});
