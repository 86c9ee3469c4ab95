/**
 * Services in the kernel: who gets which share, what happens when nobody is ready, what clients see, and that every
 * connection that was counted is counted off again, however it ends.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { ServiceView } from '../../src/admin/view.ts';
import { BackendLoad, PodUsage } from '../../src/kernel/abi/layout.gen.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import { TypedMap, u32, u64 } from '../../src/kernel/typed-map.ts';
import { type Agent, podResource, type Resource, startAgent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { cProgram, skipReason } from '../support/node.ts';
import { drive } from '../support/programs.ts';
import { type Puppet, startPuppet, until } from '../support/puppet.ts';
import { podWith, service } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
const CHURN = 100_000;
const BACKENDS = ['a', 'b', 'c'];
const WEIGHTS: Readonly<Record<string, string>> = { a: '1', b: '2', c: '5' };
/** in 198.18.0.0/15 (benchmarks, RFC 2544) and 2001:2::/48: nobody's addresses */
const VIP = {
  robin: '198.18.0.1',
  random: '198.18.0.2',
  least: '198.18.0.3',
  named: '198.18.0.4',
  closed: '198.18.0.5',
  dual4: '198.18.0.6',
  dual6: '2001:2::6',
  six: '2001:2::7',
};

const web = { svc: 'web' };
const SERVICES: readonly Resource[] = [
  service({ name: 'robin', addresses: [VIP.robin], port: 80, targetPort: PORT, selector: web }),
  service({
    ...{ name: 'random', addresses: [VIP.random], port: 80, targetPort: PORT, selector: web },
    lb: 'random',
  }),
  service({
    ...{ name: 'least', addresses: [VIP.least], port: 80, targetPort: 8081, selector: web },
    lb: 'least-conn',
  }),
  service({ name: 'named', addresses: [VIP.named], port: 80, targetPort: 'http', selector: web }),
  service({
    ...{ name: 'dual', addresses: [VIP.dual4, VIP.dual6], port: 80, targetPort: PORT },
    selector: web,
  }),
  service({ name: 'six', addresses: [VIP.six], port: 80, targetPort: PORT, selector: web }),
  service({ name: 'headless', port: PORT, targetPort: PORT, selector: web }),
];

async function services(agent: Agent): Promise<readonly ServiceView[]> {
  return (await agent.admin('/v1/services')) as readonly ServiceView[];
}

async function totalActive(agent: Agent): Promise<number> {
  const all = await services(agent);
  return all
    .flatMap(({ ports }) => ports.flatMap(({ endpoints }) => endpoints))
    .reduce((sum, { active }) => sum + active, 0);
}

/** Writes the whole mesh again with some pods changed, and waits until the Service has this many ready endpoints. */
async function rewrite(
  agent: Agent,
  pods: readonly Resource[],
  name: string,
  ready: number,
): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  agent.writeResource('mesh.yaml', [namespace, ...pods, ...SERVICES]);
  await until(`${ready} ready endpoints of ${name}`, async () => {
    const view = (await services(agent)).find((one) => one.name === name);
    const endpoints = view?.ports[0]?.endpoints.filter((endpoint) => endpoint.ready) ?? [];
    return new Set(endpoints.map(({ workload }) => workload)).size === ready;
  });
}

function mapFolder(mesh: Mesh): string {
  const root = join(mesh.folder, 'agent/bpf/podwire');
  const generation = readdirSync(root).find((name) => name.startsWith('gen-'));
  return join(root, generation ?? '', 'maps');
}

test('Services', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client' },
      ...BACKENDS.map((name) => ({
        name,
        labels: web,
        ports: { http: name === 'a' ? 8082 : PORT },
      })),
    ],
  });
  const agent = await startAgent({ mesh, resources: SERVICES });
  const client = await startPuppet(mesh, mesh.pod('client'));
  const backends: Puppet[] = [];
  for (const name of BACKENDS) {
    const pod = mesh.pod(name);
    const puppet = await startPuppet(mesh, pod);
    backends.push(puppet);
    for (const addr of [pod.v4, pod.v6]) {
      await puppet.listen(addr, PORT, { mode: 'name', name });
    }
    await puppet.listen(pod.v4, 8081, { mode: 'hold' });
  }
  await backends[0]!.listen(mesh.pod('a').v4, 8082, { mode: 'name', name: 'a-http' });

  await t.test('round robin gives everybody the same', async () => {
    assert.deepEqual(await client.dial(VIP.robin, 80, 99), { a: 33, b: 33, c: 33 });
  });

  await t.test('random gives everybody about the same', async () => {
    const counts = await client.dial(VIP.random, 80, 600);
    const chi = BACKENDS.reduce((sum, name) => sum + ((counts[name] ?? 0) - 200) ** 2 / 200, 0);
    // chi-squared with 2 degrees of freedom is above 27.6 once in a million
    assert.ok(chi < 27.6, JSON.stringify(counts));
    assert.equal(Object.keys(counts).length, 3, JSON.stringify(counts));
  });

  await t.test('least connections fills up the emptiest', async () => {
    const held: { readonly id: number; readonly at: string }[] = [];
    const open = async (): Promise<void> => {
      const id = await client.open(VIP.least, 80);
      const shown = await until('the connection', async () => {
        const list = (await agent.admin('/v1/connections')) as {
          source: { address: string };
          destination: { workload: string };
        }[];
        const { own } = await client.do('names', { id });
        return list.find((one) => one.source.address === own)?.destination.workload;
      });
      held.push({ id, at: shown });
    };
    const countOf = (name: string): number => held.filter(({ at }) => at === name).length;
    for (let i = 0; i < 9; i++) await open();
    assert.deepEqual(BACKENDS.map(countOf), [3, 3, 3]);
    const kept = held.filter(({ at }) => at !== 'b');
    for (const { id } of held.filter(({ at }) => at === 'b')) await client.close(id, true);
    held.splice(0, held.length, ...kept);
    await until('b has no connections left', async () => {
      const view = (await services(agent)).find(({ name }) => name === 'least');
      return view?.ports[0]?.endpoints.some(
        (one) => one.workload === 'default/b' && one.address.includes('.') && one.active === 0,
      );
    });
    for (let i = 0; i < 3; i++) await open();
    assert.deepEqual(BACKENDS.map(countOf), [3, 3, 3]);
    for (const { id } of held) await client.close(id, true);
  });

  await t.test('weights are kept exactly', async () => {
    const weighted = mesh.pods.map((pod) => {
      const weight = WEIGHTS[pod.name];
      return podWith(pod, weight ? { annotations: { 'podwire.io/weight': weight } } : {});
    });
    const weightOfC = async (): Promise<number | undefined> =>
      (await services(agent))
        .find(({ name }) => name === 'robin')
        ?.ports[0]?.endpoints.find(({ workload }) => workload === 'default/c')?.weight;
    await rewrite(agent, weighted, 'robin', 3);
    await until('the weights', async () => (await weightOfC()) === 5);
    assert.deepEqual(await client.dial(VIP.robin, 80, 80), { a: 10, b: 20, c: 50 });
    await rewrite(agent, mesh.pods.map(podResource), 'robin', 3);
    await until('no weights', async () => (await weightOfC()) === 1);
  });

  await t.test('a named port is each pod’s own', async () => {
    assert.deepEqual(await client.dial(VIP.named, 80, 9), { 'a-http': 3, b: 3, c: 3 });
  });

  await t.test('IPv6, dual stack and mapped clients', async () => {
    const thirds = { a: 3, b: 3, c: 3 };
    assert.deepEqual(await client.dial(VIP.six, 80, 9), thirds);
    assert.deepEqual(await client.dial(VIP.dual4, 80, 9), thirds);
    assert.deepEqual(await client.dial(VIP.dual6, 80, 9), thirds);
    assert.deepEqual(await client.dial(`::ffff:${VIP.robin}`, 80, 9, 6), thirds);
  });

  await t.test('clients see the address they dialled', async () => {
    for (const [addr, family, shown] of [
      [VIP.robin, undefined, `${VIP.robin}:80`],
      [VIP.six, undefined, `[${VIP.six}]:80`],
      [`::ffff:${VIP.robin}`, 6, `[::ffff:${VIP.robin}]:80`],
    ] as const) {
      const answer = await client.connect(addr, 80, family ? { family } : {});
      assert.equal(answer.peer, shown);
      await client.close(answer.id!);
    }
  });

  await t.test('headless Services and pod addresses are left alone', async () => {
    const { v4, v6 } = mesh.pod('b');
    assert.deepEqual(await client.dial(v4, PORT, 5), { b: 5 });
    assert.deepEqual(await client.dial(v6, PORT, 5), { b: 5 });
    const answer = await client.connect(v4, PORT);
    assert.equal(answer.peer, `${v4}:${PORT}`);
    await client.close(answer.id!);
  });

  await t.test('UDP to a virtual address is left alone', async () => {
    await backends[0]!.do('udp_echo', { addr: mesh.pod('a').v4, port: PORT });
    const direct = await client.do('udp', { addr: mesh.pod('a').v4, port: PORT, text: 'hello' });
    assert.equal(direct.text, 'hello');
    const virtual = await client.do('udp', { addr: VIP.robin, port: 80, text: 'hello' });
    assert.equal(virtual.peer, `${VIP.robin}:80`);
    assert.equal(virtual.text, undefined, JSON.stringify(virtual));
  });

  await t.test('nobody ready: refused at once, until somebody is', async () => {
    const withReady = (names: readonly string[]): Resource[] =>
      mesh.pods.map((pod) => podWith(pod, { ready: names.includes(pod.name) }));
    await rewrite(agent, withReady([]), 'robin', 0);
    for (const vip of [VIP.robin, VIP.six, VIP.dual6, VIP.random, VIP.least]) {
      const answer = await client.connect(vip, 80);
      assert.equal(answer.error, 'ECONNREFUSED', vip);
      assert.ok(answer.ms! < 50, `${vip}: ${answer.ms} ms`);
    }
    await rewrite(agent, withReady(['c']), 'robin', 1);
    assert.deepEqual(await client.dial(VIP.robin, 80, 5), { c: 5 });
    await rewrite(agent, [podResource(mesh.pod('client'))], 'robin', 0);
    const gone = await client.connect(VIP.robin, 80);
    assert.equal(gone.error, 'ECONNREFUSED');
    assert.ok(gone.ms! < 50, `${gone.ms} ms`);
    assert.equal((await agent.counters())['denied.no-endpoint'], 6);
    await rewrite(agent, mesh.pods.map(podResource), 'robin', 3);
    const counts = await client.dial(VIP.robin, 80, 9);
    assert.deepEqual(counts, { a: 3, b: 3, c: 3 });
  });
});

test(`${CHURN} connections that end in every way`, { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [{ name: 'client' }, ...['a', 'b'].map((name) => ({ name, labels: web }))],
  });
  const resources = [
    service({
      ...{ name: 'open', addresses: [VIP.robin], port: 80, targetPort: PORT, selector: web },
      ...{ lb: 'least-latency', maxConnections: 1000 },
    }),
    service({
      ...{ name: 'shut', addresses: [VIP.closed], port: 80, targetPort: 9, selector: web },
      maxConnections: 1000,
    }),
  ];
  const agent = await startAgent({ mesh, resources });
  const program = cProgram('lb-churn');
  for (const name of ['a', 'b']) {
    const pod = mesh.pod(name);
    const server = mesh.spawn(program, ['serve', pod.v4, String(PORT)], { pod });
    await server.waitFor('listening');
  }
  const pod = mesh.pod('client');
  const counts = await drive(mesh, program, ['drive', VIP.robin, '80', VIP.closed, String(CHURN)], {
    pod,
  });
  assert.equal(counts['wrong'], 0, JSON.stringify(counts));
  t.diagnostic(JSON.stringify(counts));

  const metric = async (name: string): Promise<number> => {
    const line = (await agent.metrics()).split('\n').find((text) => text.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1));
  };
  await until('every count is zero', async () => (await totalActive(agent)) === 0, 10_000);
  await until(
    'no records',
    async () => (await metric('podwire_map_entries{map="records"}')) === 0,
    10_000,
  );
  const binding = loadBinding();
  const folder = mapFolder(mesh);
  const active = binding.openPinnedMap(join(folder, 'lb_loads'));
  const entries = new TypedMap('lb_loads', active, u32, BackendLoad).entries();
  assert.ok(entries.length >= 4, `${entries.length} backends`);
  assert.deepEqual(
    entries.filter(([, load]) => load.active !== 0n),
    [],
  );
  active.close();
  const limits = binding.openPinnedMap(join(folder, 'lb_limits'));
  const taken = new TypedMap('lb_limits', limits, u32, u64).entries();
  assert.deepEqual(
    taken.map(([, count]) => count),
    [0n, 0n],
  );
  limits.close();
  const usage = binding.openPinnedMap(join(folder, 'pod_usage'));
  const used = new TypedMap('pod_usage', usage, u32, PodUsage).entries();
  assert.deepEqual(
    used.filter(([, { records, leases }]) => records !== 0 || leases !== 0),
    [],
  );
  usage.close();
  const picks = (await agent.counters())['lb-picks'] ?? 0;
  assert.ok(picks >= CHURN, `${picks} picks`);
});
