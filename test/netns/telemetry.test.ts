/**
 * What /metrics and the access log say of connections, against what was really sent: plain, spliced and proxied.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { TCP_LABELS } from '../../src/telemetry/tcp-labels.ts';
import { type Agent, type LogLine, startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { startPuppet, until } from '../support/puppet.ts';
import { policy, service } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
const REFUSED_PORT = 8081;
const VIP = '198.18.0.1';
const UP = 1_234_567;
const DOWN = 654_321;
const CONNECTIONS = 5;

type Series = ReadonlyMap<string, string>;

interface Sample {
  readonly labels: Series;
  readonly value: number;
}

function parse(text: string, name: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([a-z_]+)\{(.*)\} (\S+)$/.exec(line);
    if (match?.[1] !== name) return [];
    const labels = [...match[2]!.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    return [
      { labels: new Map(labels.map(([, key, value]) => [key!, value!])), value: Number(match[3]) },
    ];
  });
}

async function sum(
  agent: Agent,
  name: string,
  wanted: Readonly<Record<string, string>>,
): Promise<number> {
  return parse(await agent.metrics(), name)
    .filter(({ labels }) => Object.entries(wanted).every(([key, is]) => labels.get(key) === is))
    .reduce((total, { value }) => total + value, 0);
}

function lines(agent: Agent, message: string): LogLine[] {
  return agent.log.filter((line) => line['component'] === 'access' && line['msg'] === message);
}

test('counters are there at 0 before anything happens', { skip }, async (t) => {
  const agent = await startAgent({ mesh: createMesh(t, { pods: [{ name: 'client' }] }) });
  const text = await agent.metrics();
  for (const name of [
    'podwire_connections_denied_total{reason="policy"} 0',
    'podwire_connections_denied_total{reason="revoked"} 0',
    'podwire_connections_not_spliced_total{reason="annotation"} 0',
    'podwire_connections_spliced_total 0',
    'podwire_events_lost_total 0',
    'podwire_agent_proxy_refused_total 0',
    'podwire_kernel_counter_total{counter="redirect-bytes"} 0',
    'podwire_agent_pods{state="captured"} 1',
    'podwire_agent_pods{state="failed"} 0',
    'podwire_map_entries{map="records"} 0',
  ]) {
    assert.ok(text.includes(`\n${name}\n`), name);
  }
  for (const name of ['opened', 'closed'].map((end) => `istio_tcp_connections_${end}_total`)) {
    assert.ok(text.includes(`# TYPE ${name} counter`), name);
  }
});

for (const path of ['plain', 'spliced', 'proxied'] as const) {
  test(`a ${path} connection is counted as it was`, { skip }, async (t) => {
    const annotations = {
      'podwire.io/splice': path === 'plain' ? 'never' : 'always',
      ...(path === 'proxied' ? { 'podwire.io/capture': 'proxy' } : {}),
    };
    const mesh = createMesh(t, {
      pods: ['client', 'server'].map((name) => ({ name, annotations })),
    });
    const selector = { app: 'server' };
    const denyPort = [{ to: [{ operation: { ports: [String(REFUSED_PORT)] } }] }];
    const agent = await startAgent({
      mesh,
      resources: [
        service({ name: 'web', addresses: [VIP], port: 80, targetPort: PORT, selector }),
        policy({ name: 'p', app: 'server', action: 'DENY', rules: denyPort }),
      ],
    });
    const [client, server] = [
      await startPuppet(mesh, mesh.pod('client')),
      await startPuppet(mesh, mesh.pod('server')),
    ];
    const { v4 } = mesh.pod('server');
    await server.listen(v4, PORT, { mode: 'swap', name: 'down', size: DOWN });
    for (let i = 0; i < CONNECTIONS; i++) {
      const id = await client.open(i % 2 ? VIP : v4, i % 2 ? 80 : PORT);
      const answer = await client.do('swap', { id, seed: `up${i}`, size: UP });
      assert.equal(answer.received, DOWN);
    }
    const closed = await until('the access log', () => {
      const found = lines(agent, 'connection complete');
      return found.length >= CONNECTIONS ? found : undefined;
    });

    await t.test('one line in the access log for each', () => {
      assert.equal(closed.length, CONNECTIONS);
      for (const line of closed) {
        assert.equal(line['bytes_sent'], UP);
        assert.equal(line['bytes_recv'], DOWN);
        assert.equal(line['path'], path);
        assert.equal(line['src.workload'], 'client');
        assert.equal(line['dst.workload'], 'server');
        assert.equal(line['dst.addr'], `${v4}:${PORT}`);
        assert.ok(String(line['src.addr']).startsWith(`${mesh.pod('client').v4}:`));
        assert.equal(line['src.identity'], 'spiffe://cluster.local/ns/default/sa/client');
        assert.equal(line['dst.identity'], 'spiffe://cluster.local/ns/default/sa/server');
        assert.equal(line['dst.service'], 'web.default.svc.cluster.local');
        assert.equal(line['error'], undefined);
      }
      const virtual = closed.filter((line) => line['dst.dialled_addr'] === `${VIP}:80`);
      assert.equal(virtual.length, Math.floor(CONNECTIONS / 2));
    });

    await t.test('connections and bytes of both reporters', async () => {
      for (const reporter of ['source', 'destination']) {
        const wanted = { reporter, response_flags: '-' };
        assert.deepEqual(
          {
            opened: await sum(agent, 'istio_tcp_connections_opened_total', wanted),
            closed: await sum(agent, 'istio_tcp_connections_closed_total', wanted),
            received: await sum(agent, 'istio_tcp_received_bytes_total', wanted),
            sent: await sum(agent, 'istio_tcp_sent_bytes_total', wanted),
          },
          {
            opened: CONNECTIONS,
            closed: CONNECTIONS,
            received: CONNECTIONS * UP,
            sent: CONNECTIONS * DOWN,
          },
          reporter,
        );
      }
    });

    await t.test('with all labels of Istio', async () => {
      const samples = parse(await agent.metrics(), 'istio_tcp_connections_opened_total');
      for (const { labels } of samples) {
        assert.deepEqual([...labels.keys()].sort(), [...TCP_LABELS].sort());
      }
      const source = samples.find(({ labels }) => labels.get('reporter') === 'source')?.labels;
      for (const [label, value] of [
        ['source_workload', 'client'],
        ['source_principal', 'spiffe://cluster.local/ns/default/sa/client'],
        ['destination_workload', 'server'],
        ['destination_principal', 'spiffe://cluster.local/ns/default/sa/server'],
        ['destination_service', 'web.default.svc.cluster.local'],
        ['destination_service_name', 'web'],
        ['destination_service_namespace', 'default'],
        ['source_app', 'client'],
        ['request_protocol', 'tcp'],
        ['connection_security_policy', 'unknown'],
      ] as const) {
        assert.equal(source?.get(label), value, label);
      }
    });

    await t.test('a live one is counted before it ends', async () => {
      const before = await sum(agent, 'istio_tcp_received_bytes_total', { reporter: 'source' });
      await server.listen(v4, 8082, { mode: 'echo' });
      const id = await client.open(v4, 8082);
      assert.ok(await client.echoes(id));
      const now = await sum(agent, 'istio_tcp_received_bytes_total', { reporter: 'source' });
      assert.equal(now - before, 'are you there?'.length);
      const opened = await sum(agent, 'istio_tcp_connections_opened_total', { reporter: 'source' });
      assert.equal(opened, CONNECTIONS + 1);
      await client.close(id);
      await until('its line', () => lines(agent, 'connection complete').length === CONNECTIONS + 1);
    });

    await t.test('a refused one is a line and a count of its own', async () => {
      await client.connect(v4, REFUSED_PORT);
      const [line] = await until('the line', () => {
        const found = lines(agent, 'connection failed');
        return found.length > 0 ? found : undefined;
      });
      assert.equal(line?.['error'], 'policy');
      assert.equal(line['policy'], 'default/p');
      assert.equal(line['src.identity'], 'spiffe://cluster.local/ns/default/sa/client');
      assert.equal(line['dst.addr'], `${v4}:${REFUSED_PORT}`);
      const wanted = { response_flags: 'DENY', reporter: 'destination' };
      assert.equal(await sum(agent, 'istio_tcp_connections_closed_total', wanted), 1);
    });
  });
}

test('a stop at the end of a burst loses no line', { skip }, async (t) => {
  const annotations = { 'podwire.io/splice': 'always' };
  const mesh = createMesh(t, {
    pods: ['client', 'server'].map((name) => ({ name, annotations })),
  });
  const agent = await startAgent({ mesh });
  const at = `${mesh.pod('server').v4}:${PORT}`;
  const server = mesh.spawn(cProgram('bench-server'), ['rr', at, '64'], {
    pod: mesh.pod('server'),
  });
  await until('the server', async () => {
    const { code } = await mesh.run(cProgram('bench-client'), ['rr', at, '64', '0.01'], {
      pod: mesh.pod('client'),
    });
    return code === 0;
  });
  const burst = await mesh.run(cProgram('bench-client'), ['crr', at, '64', '1'], {
    pod: mesh.pod('client'),
  });
  const { operations } = JSON.parse(burst.stdout) as { operations: number };
  const counters = await agent.counters();
  await server.stop();
  await agent.kill('SIGTERM');
  t.diagnostic(`${operations} connections`);
  assert.ok(operations > 1000, burst.stdout + burst.stderr);
  assert.equal(counters['events-lost'], 0);
  const told = lines(agent, 'connection complete').filter((line) => line['bytes_sent'] === 64);
  assert.equal(told.length, operations);
});
