/**
 * Which endpoint a client gets where the Service says more than "any": session affinity, nearness, the quickest, and no
 * more connections than allowed.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceView } from '../../src/admin/view.ts';
import { BackendLoad } from '../../src/kernel/abi/layout.gen.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import { TypedMap, u32, u64 } from '../../src/kernel/typed-map.ts';
import { type Agent, type Resource, startAgent } from '../support/agent.ts';
import { createMesh, type Mesh, type Pod } from '../support/netns.ts';
import { cProgram, command, skipReason } from '../support/node.ts';
import { drive } from '../support/programs.ts';
import { type Puppet, startPuppet, until } from '../support/puppet.ts';
import { podWith, service } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
/** in 198.18.0.0/15 (benchmarks, RFC 2544): nobody's addresses */
const VIP = {
  sticky: '198.18.0.11',
  short: '198.18.0.12',
  local: '198.18.0.13',
  zone: '198.18.0.14',
  quick: '198.18.0.15',
  robin: '198.18.0.16',
  limited: '198.18.0.17',
};
const web = { svc: 'web' };
const base = { port: 80, targetPort: PORT, selector: web };

/** a, b and c answer with their names */
async function nameServers(mesh: Mesh, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const puppet = await startPuppet(mesh, mesh.pod(name));
    await puppet.listen(mesh.pod(name).v4, PORT, { mode: 'name', name });
  }
}

async function view(agent: Agent, name: string): Promise<ServiceView> {
  const all = (await agent.admin('/v1/services')) as readonly ServiceView[];
  return all.find((one) => one.name === name)!;
}

async function usedPods(agent: Agent, name: string): Promise<string> {
  const { ports } = await view(agent, name);
  const used = ports[0]!.endpoints.filter((endpoint) => endpoint.used);
  return [...new Set(used.map(({ workload }) => workload.replace('default/', '')))].sort().join();
}

function pinned<K, V>(mesh: Mesh, name: string, read: (folder: string) => TypedMap<K, V>) {
  const root = join(mesh.folder, 'agent/bpf/podwire');
  const generation = readdirSync(root).find((entry) => entry.startsWith('gen-'));
  return read(join(root, generation ?? '', 'maps', name));
}

/** Counts that are not zero, of backends and limits. */
function openCounts(mesh: Mesh): unknown[] {
  const binding = loadBinding();
  const loads = pinned(
    mesh,
    'lb_loads',
    (path) => new TypedMap('lb_loads', binding.openPinnedMap(path), u32, BackendLoad),
  );
  const limits = pinned(
    mesh,
    'lb_limits',
    (path) => new TypedMap('lb_limits', binding.openPinnedMap(path), u32, u64),
  );
  return [
    ...loads.entries().filter(([, { active }]) => active !== 0n),
    ...limits.entries().filter(([, taken]) => taken !== 0n),
  ];
}

interface Ground {
  readonly mesh: Mesh;
  readonly agent: Agent;
  readonly client: Puppet;
  readonly write: (pods: readonly Resource[]) => void;
}

/** Pods that answer with their names, and the Services in front of them. */
async function ground(
  t: TestContext,
  names: readonly string[],
  services: readonly Resource[],
  pods: (mesh: Mesh) => readonly Resource[],
): Promise<Ground> {
  const mesh = createMesh(t, {
    pods: [
      ...['client', 'other'].map((name) => ({ name })),
      ...names.map((name) => ({ name, labels: web })),
    ],
  });
  const agent = await startAgent({ mesh, pods: [], resources: [...pods(mesh), ...services] });
  await nameServers(mesh, names);
  const client = await startPuppet(mesh, mesh.pod('client'));
  const write = (list: readonly Resource[]) =>
    agent.writeResource('mesh.yaml', [...list, ...services]);
  return { mesh, agent, client, write };
}

const plain = (mesh: Mesh, ready: (pod: Pod) => boolean = () => true): Resource[] =>
  mesh.pods.map((pod) => podWith(pod, { ready: ready(pod) }));

test('session affinity', { skip }, async (t) => {
  const affinity = (timeoutSeconds?: number) => ({
    sessionAffinity: 'ClientIP',
    ...(timeoutSeconds ? { sessionAffinityConfig: { clientIP: { timeoutSeconds } } } : {}),
  });
  const { mesh, agent, client, write } = await ground(
    t,
    ['a', 'b', 'c'],
    [
      service({ ...base, name: 'sticky', addresses: [VIP.sticky], extra: affinity() }),
      service({ ...base, name: 'short', addresses: [VIP.short], extra: affinity(1) }),
    ],
    plain,
  );
  const other = await startPuppet(mesh, mesh.pod('other'));
  const one = async (from: Puppet, vip: string, count = 20): Promise<string> => {
    const counts = await from.dial(vip, 80, count);
    assert.deepEqual(Object.values(counts), [count], JSON.stringify(counts));
    return Object.keys(counts)[0]!;
  };

  await t.test('a pod keeps its backend, each pod its own', async () => {
    const mine = await one(client, VIP.sticky);
    const theirs = await one(other, VIP.sticky);
    assert.notEqual(theirs, mine, 'round robin gave the second pod the next one');
    assert.equal(await one(client, VIP.sticky), mine);
  });

  await t.test('it holds when others come and go, and ends when the backend goes', async () => {
    const mine = await one(client, VIP.sticky);
    const [gone] = ['a', 'b', 'c'].filter((name) => name !== mine);
    const serve = async (names: readonly string[]): Promise<void> => {
      write(plain(mesh, ({ name }) => names.includes(name)));
      await until(names.join(), async () => (await usedPods(agent, 'sticky')) === names.join());
    };
    await serve(['a', 'b', 'c'].filter((name) => name !== gone));
    assert.equal(await one(client, VIP.sticky), mine);
    await serve(['a', 'b', 'c'].filter((name) => name !== mine));
    const next = await one(client, VIP.sticky);
    assert.notEqual(next, mine);
    await serve(['a', 'b', 'c']);
    assert.equal(await one(client, VIP.sticky), next, 'it does not go back');
  });

  await t.test('it is forgotten when it was not used for its time, and not before', async () => {
    const first = await one(client, VIP.short, 1);
    for (let i = 0; i < 5; i++) {
      await sleep(400); // 2 s together: each use starts the second anew
      assert.equal(await one(client, VIP.short, 1), first);
    }
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await sleep(1100);
      seen.add(await one(client, VIP.short, 1));
    }
    assert.equal(seen.size, 3, 'round robin goes on once the time is over');
  });

  await t.test('many first connections at once agree', async () => {
    await sleep(1100);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => client.dial(VIP.short, 80, 5)),
    );
    const names = new Set(answers.flatMap((counts) => Object.keys(counts)));
    assert.equal(names.size, 1, JSON.stringify(answers));
  });
  await until('all counts are zero', async () => openCounts(mesh).length === 0);
});

test('nearness', { skip }, async (t) => {
  const WHERE: Readonly<Record<string, [node: string, zone: string]>> = {
    client: ['n1', 'z1'],
    other: ['n1', 'z1'],
    a: ['n1', 'z1'],
    b: ['n2', 'z1'],
    c: ['n3', 'z2'],
  };
  const nodes = Object.values(WHERE).map(([name, zone]) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: { 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': zone },
    },
  }));
  const placed = (mesh: Mesh, down: readonly string[] = []): Resource[] => [
    ...new Map(nodes.map((node) => [node.metadata.name, node])).values(),
    ...plain(mesh, ({ name }) => !down.includes(name)).map((pod): Resource => {
      const { metadata, spec } = pod as unknown as Record<string, { name: string }>;
      return { ...pod, spec: { ...spec, nodeName: WHERE[metadata!.name]![0] } };
    }),
  ];
  const { mesh, agent, client, write } = await ground(
    t,
    ['a', 'b', 'c'],
    [
      service({
        ...{ ...base, name: 'local', addresses: [VIP.local] },
        extra: { internalTrafficPolicy: 'Local' },
      }),
      service({
        ...{ ...base, name: 'zone', addresses: [VIP.zone] },
        extra: { trafficDistribution: 'PreferSameZone' },
      }),
    ],
    placed,
  );
  const steps: [down: string[], local: string, zone: Record<string, number>][] = [
    [[], 'a', { a: 6, b: 6 }],
    [['a'], '', { b: 12 }],
    [['a', 'b'], '', { c: 12 }],
    [['b'], 'a', { a: 12 }],
  ];
  let refused = 0;
  for (const [down, local, zone] of steps) {
    await t.test(`without ${down.join(' and ') || 'failure'}`, async () => {
      write(placed(mesh, down));
      await until('the change', async () => {
        const near = Object.keys(zone).join();
        return (
          (await usedPods(agent, 'local')) === local && (await usedPods(agent, 'zone')) === near
        );
      });
      assert.deepEqual(await client.dial(VIP.zone, 80, 12), zone);
      if (local) {
        assert.deepEqual(await client.dial(VIP.local, 80, 5), { [local]: 5 });
      } else {
        const { error, ms } = await client.connect(VIP.local, 80);
        assert.equal(error, 'ECONNREFUSED');
        assert.ok(ms! < 50, `${ms} ms`);
        refused++;
      }
    });
  }
  assert.equal((await agent.counters())['denied.no-endpoint'], refused);
  await until('all counts are zero', async () => openCounts(mesh).length === 0);
});

test('the quickest', { skip }, async (t) => {
  const { mesh, agent, client, write } = await ground(
    t,
    ['near', 'far'],
    [
      service({ ...base, name: 'quick', addresses: [VIP.quick], lb: 'least-latency' }),
      service({ ...base, name: 'robin', addresses: [VIP.robin] }),
    ],
    plain,
  );
  const [from, to] = [mesh.pod('client'), mesh.pod('far')];
  const program = cProgram('slow-path');
  const link = mesh.spawn(program, [from.netnsPath, to.netnsPath, '10']);
  await link.waitFor('ready');
  for (const [pod, peer] of [
    [from, to],
    [to, from],
  ] as const) {
    command('ip', ['-n', pod.netns, 'link', 'set', 'slow0', 'up']);
    command('ip', [
      '-n',
      pod.netns,
      'route',
      'add',
      `${peer.v4}/32`,
      'dev',
      'slow0',
      'src',
      pod.v4,
    ]);
  }

  await t.test('a slow path is avoided', async () => {
    const robin = await client.dial(VIP.robin, 80, 40);
    assert.deepEqual(robin, { near: 20, far: 20 }, 'round robin does not care');
    const quick = await client.dial(VIP.quick, 80, 300);
    t.diagnostic(`least-latency: ${JSON.stringify(quick)}`);
    assert.ok((quick['far'] ?? 0) >= 1, 'it was tried');
    assert.ok((quick['far'] ?? 0) <= 6, JSON.stringify(quick));
    const { endpoints } = (await view(agent, 'quick')).ports[0]!;
    const latency = (name: string) =>
      endpoints.find(({ workload, used }) => used && workload === `default/${name}`)!.latencyUs!;
    assert.ok(latency('far') >= 20_000 && latency('far') < 200_000, `${latency('far')} µs`);
    assert.ok(latency('near') < 10_000, `${latency('near')} µs`);
  });

  await t.test('and taken when it is the only one left', async () => {
    write(plain(mesh, ({ name }) => name !== 'near'));
    await until('far alone', async () => (await usedPods(agent, 'quick')) === 'far');
    assert.deepEqual(await client.dial(VIP.quick, 80, 5), { far: 5 });
  });

  await t.test('a backend that refuses is not the quickest', async () => {
    const closed = mesh.pods.map((pod) => podWith(pod, pod.name === 'far' ? { ready: false } : {}));
    // nobody listens in `other`
    write(
      closed.map((pod) => {
        const { metadata } = pod as unknown as { metadata: { name: string } };
        const labels = { app: metadata.name, ...(metadata.name === 'client' ? {} : web) };
        return { ...pod, metadata: { ...metadata, labels } };
      }),
    );
    await until('other', async () => (await usedPods(agent, 'quick')) === 'near,other');
    let failures = 0;
    for (let i = 0; i < 50; i++) {
      const answer = await client.connect(VIP.quick, 80);
      if (answer.id === undefined) failures++;
      else await client.close(answer.id);
    }
    assert.ok(failures >= 1 && failures <= 3, `${failures} refused of 50`);
  });
  await until('all counts are zero', async () => openCounts(mesh).length === 0);
});

test('connection limits', { skip }, async (t) => {
  const LIMIT = 7;
  const mesh = createMesh(t, {
    pods: [
      { name: 'client' },
      { name: 'other', annotations: { 'podwire.io/capture': 'proxy' } },
      { name: 'a', labels: web },
    ],
  });
  const limited = (maxConnections: number): Resource =>
    service({ ...base, name: 'limited', addresses: [VIP.limited], maxConnections });
  const agent = await startAgent({ mesh, resources: [limited(LIMIT)] });
  const server = mesh.spawn(cProgram('lb-churn'), ['serve', mesh.pod('a').v4, String(PORT)], {
    pod: mesh.pod('a'),
  });
  await server.waitFor('listening');
  const run = (what: string, pod: string, ...more: readonly string[]) =>
    drive(mesh, cProgram('lb-limit'), [what, VIP.limited, '80', ...more], { pod: mesh.pod(pod) });
  const none = async (): Promise<void> => {
    await until('all counts are zero', async () => openCounts(mesh).length === 0);
  };

  await t.test('never one too many, however many ask at once', async () => {
    const [counts, others] = await Promise.all([
      run('crowd', 'client', '24', '3'),
      run('crowd', 'other', '4', '3'),
    ]);
    t.diagnostic(JSON.stringify([counts, others]));
    assert.equal(counts['peak'], LIMIT);
    assert.ok(others['peak']! <= LIMIT);
    assert.equal(counts['wrong'], 0);
    assert.ok(counts['opened']! > 500 && counts['refused']! > 500, JSON.stringify(counts));
    await none();
  });

  await t.test('afterwards there is room for exactly as many, captured or not', async () => {
    assert.deepEqual(await run('fill', 'client'), { opened: LIMIT, refused: 1 });
    assert.deepEqual(await run('fill', 'other'), { opened: LIMIT, refused: 1 });
    await none();
  });

  await t.test('a connect that fails before its SYN takes no room', async () => {
    assert.deepEqual(await run('collide', 'client', '50'), { collided: 50 });
    await none();
    assert.deepEqual(await run('fill', 'client'), { opened: LIMIT, refused: 1 });
  });

  await t.test('a refusal is told with its reason', async () => {
    const client = await startPuppet(mesh, mesh.pod('client'));
    const held: number[] = [];
    for (let i = 0; i < LIMIT; i++) held.push(await client.open(VIP.limited, 80));
    assert.equal((await view(agent, 'limited')).ports[0]!.limited, LIMIT);
    const before = (await agent.counters())['denied.connection-limit']!;
    const { error, ms } = await client.connect(VIP.limited, 80);
    assert.equal(error, 'ECONNREFUSED');
    assert.ok(ms! < 50, `${ms} ms`);
    assert.equal((await agent.counters())['denied.connection-limit'], before + 1);
    // behind tens of thousands of lines about the crowd
    await until(
      'the access log',
      () => agent.log.some((line) => line['error'] === 'connection-limit'),
      30_000,
    );
    const metrics = await agent.metrics();
    assert.match(metrics, /podwire_connections_denied_total\{reason="connection-limit"\} [1-9]/);
    assert.match(metrics, /connections_opened_total\{.*response_flags="UO".*\} [1-9]/);
    await client.close(held.pop()!, true);
    const again = await until(
      'room for one',
      async () => (await client.connect(VIP.limited, 80)).id,
    );
    for (const id of [...held, again]) await client.close(id, true);
    await none();
  });

  await t.test('another limit counts from then on, none ends it', async () => {
    const change = async (maxConnections: number): Promise<void> => {
      agent.writeResource('mesh.yaml', [
        ...mesh.pods.map((pod) => podWith(pod, {})),
        limited(maxConnections),
      ]);
      await until(
        'the limit',
        async () => (await view(agent, 'limited')).maxConnections === maxConnections,
      );
    };
    await change(3);
    assert.deepEqual(await run('fill', 'client'), { opened: 3, refused: 1 });
    await change(0);
    assert.equal((await run('fill', 'client'))['refused'], 0);
    await none();
  });
});
