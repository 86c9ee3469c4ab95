/**
 * What a pod with raw sockets, other people's addresses, marks, stolen ports or wrong names can do to its neighbours: nothing
 * beyond what plain networking lets it do, and never with their identity.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Finding } from '../../src/model/finding.ts';
import type { PodView } from '../../src/admin/view.ts';
import { type Agent, type Resource, startAgent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { idOf, type Puppet, startPuppet, until } from '../support/puppet.ts';
import { fromAccounts, podWith, policy } from '../support/resources.ts';

const skip = skipReason('python3');
const PORT = 8080;
const THEFTS = 40;

async function denied(agent: Agent, reason: string): Promise<number> {
  return (await agent.counters())[`denied.${reason}`] ?? NaN;
}

async function puppets(mesh: Mesh, ...names: readonly string[]): Promise<Puppet[]> {
  return Promise.all(names.map((name) => startPuppet(mesh, mesh.pod(name))));
}

test('identity comes from provenance alone', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      ...['alice', 'mallory', 'server'].map((name) => ({ name })),
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const onlyAlice = policy({ name: 'p', app: 'server', rules: [fromAccounts('alice')] });
  const agent = await startAgent({ mesh, resources: [onlyAlice] });
  const [alice, mallory, server, stranger] = await puppets(
    mesh,
    ...['alice', 'mallory', 'server', 'stranger'],
  );
  const [victim, target] = [mesh.pod('alice'), mesh.pod('server')];
  const listener = await server!.listen(target.v4, PORT);
  const accepted = async (): Promise<number> => (await server!.accepted(listener)).length;
  const live = await alice!.open(target.v4, PORT);
  assert.ok(await alice!.echoes(live));

  await t.test('a SYN with a spoofed source address has no identity', async () => {
    const before = [await denied(agent, 'policy'), await accepted()];
    for (const [from, sourcePort] of [
      [mallory!, 40_001],
      [stranger!, 40_002],
    ] as const) {
      await from.do('spoof', { source: victim.v4, sourcePort, addr: target.v4, port: PORT });
    }
    await until('two denials', async () => (await denied(agent, 'policy')) === before[0]! + 2);
    assert.equal(await accepted(), before[1]);
    const lines = await until('two lines in the log', () => {
      const found = agent.log.filter((line) =>
        String(line['src.addr']).startsWith(`${victim.v4}:4000`),
      );
      return found.length === 2 ? found : undefined;
    });
    for (const line of lines) {
      assert.equal(line['src.identity'], undefined);
      assert.equal(line['error'], 'policy');
    }
  });

  await t.test('nor does one with the 4-tuple of a live connection', async () => {
    const { own } = await alice!.do('names', { id: live });
    const sourcePort = Number(own!.split(':')[1]);
    const before = await accepted();
    await mallory!.do('spoof', { source: victim.v4, sourcePort, addr: target.v4, port: PORT });
    assert.ok(await alice!.echoes(live), 'the live connection suffered');
    assert.equal(await accepted(), before);
  });

  await t.test('a process in another namespace cannot use a pod’s address as its own', async () => {
    for (const [name, from, reason] of [
      ['mallory', mallory!, 'policy'],
      ['stranger', stranger!, 'policy'],
    ] as const) {
      const { netns } = mesh.pod(name);
      command('ip', ['-n', netns, 'address', 'add', `${victim.v4}/32`, 'dev', 'eth0']);
      const [count, before] = [await accepted(), await denied(agent, reason)];
      const answer = await from.connect(target.v4, PORT, { bind: victim.v4, timeout: 0.5 });
      assert.notEqual(answer.error, undefined);
      assert.ok((await denied(agent, reason)) > before);
      assert.equal(await accepted(), count);
      command('ip', ['-n', netns, 'address', 'del', `${victim.v4}/32`, 'dev', 'eth0']);
    }
    assert.ok(await alice!.echoes(live));
  });

  await t.test('marks change nothing', async () => {
    for (const mark of [1, 0x539, 0x1337, 0xfff, 1337, 0x7fffffff]) {
      assert.equal((await mallory!.connect(target.v4, PORT, { mark })).error, 'ECONNREFUSED');
      const answer = await alice!.connect(target.v4, PORT, { mark });
      assert.ok(await alice!.echoes(idOf(answer)));
      await alice!.close(answer.id!);
    }
  });

  await t.test('a socket passed on keeps the identity of the pod it was made in', async () => {
    const pass = async (giver: Puppet, taker: Puppet, name: string): Promise<number> => {
      const path = `${mesh.folder}/${name}.sock`;
      const id = idOf(await giver.do('new_socket'));
      const taken = taker.do('take_fd', { path });
      await giver.do('give_fd', { id, path });
      return idOf(await taken);
    };
    const fromMallory = await pass(mallory!, alice!, 'a');
    const refused = await alice!.do('connect_existing', {
      id: fromMallory,
      addr: target.v4,
      port: PORT,
    });
    assert.equal(refused.error, 'ECONNREFUSED', 'a socket of mallory’s in alice’s hands');
    const fromAlice = await pass(alice!, mallory!, 'b');
    await mallory!.do('connect_existing', { id: fromAlice, addr: target.v4, port: PORT });
    assert.ok(await mallory!.echoes(fromAlice), 'a socket of alice’s in mallory’s hands');
  });
});

test('the agent’s listeners', { skip }, async (t) => {
  const annotations = { 'podwire.io/capture': 'proxy' };
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'server', annotations },
    ],
  });
  const agent = await startAgent({ mesh });
  const [client, server] = await puppets(mesh, 'client', 'server');
  const { v4, v6 } = mesh.pod('server');
  for (const addr of [v4, v6]) await server!.listen(addr, PORT);
  const ports = ((await client!.do('listening_ports')).list ?? []).map(({ family, port }) => ({
    family,
    port,
  }));

  await t.test('SO_REUSEPORT on their ports steals nothing', async () => {
    assert.equal(ports.length, 4, 'outbound and inbound, two families');
    const thieves: number[] = [];
    for (const { family, port } of [
      ...ports,
      { family: 4, port: 15001 },
      { family: 6, port: 15001 },
    ]) {
      for (const addr of family === 4 ? ['127.0.0.1', '0.0.0.0'] : ['::1', '::']) {
        const { id } = await client!.do('listen', {
          addr,
          port,
          mode: 'name',
          name: 'thief',
          reuseport: true,
        });
        if (id !== undefined) thieves.push(id);
      }
    }
    assert.ok(thieves.length >= 2, 'ports nobody is bound to can be taken');
    for (let i = 0; i < THEFTS; i++) {
      const id = await client!.open(i % 2 ? v6 : v4, PORT);
      assert.ok(await client!.echoes(id));
      await client!.close(id);
    }
    for (const id of thieves) {
      assert.deepEqual(await client!.accepted(id), []);
      await client!.close(id);
    }
  });

  await t.test('dialling the port they are really bound to is reset and counted', async () => {
    const refused = async (): Promise<number> =>
      Number(/^podwire_agent_proxy_refused_total (.*)$/m.exec(await agent.metrics())?.[1]);
    const before = await refused();
    for (const { family, port } of ports) {
      const addr = family === 4 ? '127.0.0.1' : '::1';
      const answer = await client!.connect(addr, port);
      if (answer.error === undefined) {
        assert.equal((await client!.do('end', { id: answer.id! })).end, 'reset', `${addr}:${port}`);
      } else {
        assert.equal(answer.error, 'ECONNRESET');
      }
    }
    assert.equal((await refused()) - before, ports.length);
  });
});

test('names of network namespaces', { skip }, async (t) => {
  const names = ['slash', 'dots', 'empty', 'twin', 'good'];
  const mesh = createMesh(t, { pods: names.map((name) => ({ name })) });
  const agent = await startAgent({ mesh });
  const captured = async (): Promise<string[]> =>
    ((await agent.admin('/v1/pods')) as PodView[])
      .filter(({ state }) => state === 'captured')
      .map(({ name }) => name)
      .sort();
  assert.deepEqual(await captured(), [...names].sort());
  const netnsOf: Readonly<Record<string, string>> = {
    slash: '../netns/x',
    dots: '..',
    empty: '',
    twin: mesh.pod('good').netns,
  };
  const resources: Resource[] = mesh.pods.map((pod) => {
    const netns = netnsOf[pod.name];
    return podWith(pod, netns === undefined ? {} : { annotations: { 'podwire.io/netns': netns } });
  });
  agent.writeResource('mesh.yaml', resources);
  await until('only the good one', async () => (await captured()).join() === 'good');
  const findings = (await agent.admin('/v1/findings')) as Finding[];
  for (const [name, code] of [
    ['slash', 'NETNS_INVALID'],
    ['dots', 'NETNS_INVALID'],
    ['empty', 'NETNS_INVALID'],
    ['twin', 'NETNS_CONFLICT'],
  ] as const) {
    const own = findings.filter(({ resource }) => resource === `Pod default/${name}`);
    assert.deepEqual(
      own.map((finding) => [finding.code, finding.severity, finding.file]),
      [[code, 'error', 'mesh.yaml']],
      name,
    );
    assert.equal(own[0]?.path, "metadata.annotations.'podwire.io/netns'");
  }

  await t.test('the node’s own namespace under a name is refused', async () => {
    const name = `${mesh.name}-host`;
    command('ip', ['netns', 'attach', name, String(process.pid)]);
    try {
      const change = { annotations: { 'podwire.io/netns': name } };
      agent.writeResource('mesh.yaml', [podWith(mesh.pod('good'), change)]);
      const failed = await until('the failure', async () =>
        ((await agent.admin('/v1/pods')) as PodView[]).find(({ state }) => state === 'failed'),
      );
      assert.equal(failed.name, 'good');
      assert.match(failed.reason, /node's own network namespace/);
      assert.deepEqual(await captured(), []);
    } finally {
      command('ip', ['netns', 'del', name]);
    }
  });
});
