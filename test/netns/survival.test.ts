/**
 * The agent dies; the mesh does not. While it is dead, connections live on, new ones are spliced, balanced and under
 * policy; the next agent takes over without one failed connect, and counts on.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, mainProgram, placesOf, startAgent } from '../support/agent.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { fromAccounts, policy, service, toPorts } from '../support/resources.ts';
import { dial, hold, serve } from '../support/survive.ts';

const OPEN_PORT = 7001;
const CLOSED_PORT = 7002;
const VIP = '10.96.77.1';
const BACKENDS = ['one', 'two'] as const;
const annotations = { 'podwire.io/splice': 'always' };

const BACKEND = { app: 'backend' };

/** Only the client's own identity, and only this port. */
const openPort = policy({
  name: 'open-port',
  app: BACKEND.app,
  action: 'ALLOW',
  rules: [{ ...fromAccounts('client'), ...toPorts(OPEN_PORT) }],
});

const backend = service({
  name: 'backend',
  addresses: [VIP],
  port: 80,
  targetPort: OPEN_PORT,
  selector: BACKEND,
});

interface Node {
  readonly mesh: Mesh;
  start: () => Promise<Agent>;
}

async function createNode(t: TestContext): Promise<Node> {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'stranger', annotations },
      ...BACKENDS.map((name) => ({ name, annotations, labels: BACKEND })),
    ],
  });
  for (const name of BACKENDS) await serve(mesh, mesh.pod(name), OPEN_PORT, CLOSED_PORT);
  return { mesh, start: () => startAgent({ mesh, resources: [openPort, backend] }) };
}

async function connects(mesh: Mesh, from: string, address: string, port: number): Promise<boolean> {
  const driver = await dial(mesh, mesh.pod(from), address, port);
  await sleep(200);
  const { exchanges, failed, ended } = await driver.counts();
  await driver.stop();
  assert.ok(exchanges === 0 || failed + ended === 0, 'neither open nor closed');
  return exchanges > 0;
}

async function acceptedBy(agent: Agent): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const line of (await agent.metrics()).split('\n')) {
    const match =
      /^istio_tcp_connections_opened_total\{.*reporter="source".*destination_workload="(\w+)".*\} (\d+)/.exec(
        line,
      );
    if (match) found.set(match[1]!, (found.get(match[1]!) ?? 0) + Number(match[2]));
  }
  return found;
}

test('a node without its agent', { skip: skipReason() }, async (t) => {
  const { mesh, start } = await createNode(t);
  let agent = await start();
  const client = mesh.pod('client');
  const [one, two] = BACKENDS.map((name) => mesh.pod(name));
  const held = await hold(mesh, client, VIP, 80, 200);
  const held6 = await hold(mesh, client, one!.v6, OPEN_PORT, 50);
  await held.turns(400);
  await held6.turns(100);
  const before = await agent.counters();
  assert.ok(before['spliced']! >= 250, JSON.stringify(before));

  await agent.kill('SIGKILL');

  await t.test('spliced connections go on', async () => {
    for (const [driver, open] of [
      [held, 200],
      [held6, 50],
    ] as const) {
      const counts = await driver.turns(open * 4);
      assert.deepEqual({ open: counts.open, failed: counts.failed }, { open, failed: 0 });
    }
  });

  await t.test('new connections are balanced, and policy decides', async () => {
    for (const address of [VIP]) assert.equal(await connects(mesh, 'client', address, 80), true);
    for (const pod of [one!, two!]) {
      assert.equal(await connects(mesh, 'client', pod.v4, OPEN_PORT), true);
      assert.equal(await connects(mesh, 'client', pod.v4, CLOSED_PORT), false);
      assert.equal(await connects(mesh, 'client', pod.v6, CLOSED_PORT), false);
      assert.equal(await connects(mesh, 'stranger', pod.v4, OPEN_PORT), false);
    }
  });

  const dialler = await dial(mesh, client, VIP, 80);
  await dialler.turns(200);
  await sleep(1000);
  agent = await start();

  await t.test('the next agent adopts and counts on', async () => {
    const after = await agent.counters();
    assert.ok(after['spliced']! >= before['spliced']! + 200, JSON.stringify({ before, after }));
    assert.ok(after['redirect-bytes']! > before['redirect-bytes']!);
    assert.ok(after['denied.policy']! > before['denied.policy']!);
    const status = (await agent.admin('/v1/status')) as { kernel: { adopted: boolean } };
    assert.equal(status.kernel.adopted, true);
    const connections = (await agent.admin('/v1/connections')) as { path: string }[];
    assert.ok(connections.filter(({ path }) => path === 'spliced').length >= 250);
  });

  await t.test('what ended without an agent is told by the next one', async () => {
    const told = agent.log.filter(({ msg }) => msg === 'connection complete').length;
    assert.ok(told >= 200, `${told} access-log lines`);
  });

  await t.test('no connect fails over kill and restart, five times', async () => {
    for (let round = 0; round < 5; round++) {
      await agent.kill('SIGKILL');
      await sleep(200);
      agent = await start();
      await dialler.turns(100);
    }
    const { failed, ended, exchanges, text } = await dialler.counts();
    assert.deepEqual({ failed, ended }, { failed: 0, ended: 0 }, text);
    assert.ok(exchanges > 1000, text);
    t.diagnostic(`connect loop over six takeovers: ${text.trim()}`);
    const counts = await held.counts();
    assert.deepEqual([counts.open, counts.failed], [200, 0]);
  });

  await t.test('both backends had their share, and every active count ends at 0', async () => {
    await Promise.all([held, held6, dialler].map((driver) => driver.stop()));
    await sleep(500);
    const shares = await acceptedBy(agent);
    const [a = 0, b = 0] = BACKENDS.map((name) => shares.get(name));
    assert.ok(a > 0 && b > 0 && Math.abs(a - b) < 0.2 * (a + b), JSON.stringify([...shares]));
    const services = (await agent.admin('/v1/services')) as {
      ports: { endpoints: { active: number }[] }[];
    }[];
    const active = services.flatMap(({ ports }) =>
      ports.flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.active)),
    );
    assert.ok(active.length >= 2 && active.every((count) => count === 0), active.join());
  });
});

test('listeners older than the agent are known again', { skip: skipReason() }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  await serve(mesh, server, OPEN_PORT);
  let agent = await startAgent({ mesh });
  /* default setting: learnt from short connections, then trusted, on both sides */
  const learn = async (): Promise<void> => {
    const deadline = Date.now() + 40_000;
    for (;;) {
      const driver = await dial(mesh, client, server.v4, OPEN_PORT);
      await sleep(500);
      await driver.stop();
      const trusted = (await agent.trust()).filter(
        ({ name, state }) => name.includes('survive') && state === 'trusted',
      );
      if (trusted.length === 2) return; // of the client's workload and of the server's
      assert.ok(Date.now() < deadline, JSON.stringify(await agent.trust()));
    }
  };
  const splices = async (): Promise<boolean> => {
    const before = await agent.counters();
    const driver = await dial(mesh, client, server.v4, OPEN_PORT);
    await driver.turns(20);
    await driver.stop();
    return (await agent.counters())['spliced']! - before['spliced']! >= 20;
  };
  await learn();
  assert.equal(await splices(), true, 'after learning');
  await agent.kill('SIGKILL');
  agent = await startAgent({ mesh });
  assert.equal(await splices(), true, 'after a restart that adopted the maps');
  await agent.kill('SIGKILL');
  const { bpffs, state, socket } = placesOf(mesh);
  const places = ['--bpffs', bpffs, '--state-dir', state, '--admin', socket];
  command(process.execPath, [mainProgram(), 'cleanup', ...places]);
  agent = await startAgent({ mesh });
  await learn();
  assert.equal(await splices(), true, 'after everything was removed and learnt anew');
});
