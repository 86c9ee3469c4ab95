/**
 * One writer at a time, an orderly end, and nothing left behind: the lock on the pin folder, SIGTERM and SIGINT, and
 * `podwire cleanup` with and without an agent, also on a node where the addon cannot be loaded.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Agent,
  type Resource,
  launchAgent,
  meshResources,
  placesOf,
  startAgent,
} from '../support/agent.ts';
import { bpftoolList } from '../support/bpftool.ts';
import { type Mesh, createMesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { copyTree } from '../support/other-build.ts';
import { footprint } from '../support/processes.ts';
import { dial, hold, serve } from '../support/survive.ts';

const PORT = 7001;
const WAITING = 'another agent is the writer of this node: waiting for its lock';
const EXIT_LOCKED = 4;
const EXIT_ABANDONED = 1;
const annotations = { 'podwire.io/splice': 'always' };
const proxied = { 'podwire.io/capture': 'proxy' };
const skip = skipReason('bpftool');

interface Done {
  readonly status: number | null;
  readonly text: string;
}

function cleanup(mesh: Mesh, tree: string): Done {
  const { bpffs, state, socket } = placesOf(mesh);
  const places = ['--bpffs', bpffs, '--state-dir', state, '--admin', socket];
  const main = ['--import', 'tsx', 'src/main.ts', 'cleanup', ...places];
  const done = spawnSync(process.execPath, main, { cwd: tree, encoding: 'utf8' });
  return { status: done.status, text: done.stdout + done.stderr };
}

interface Link {
  readonly id: number;
}

/** Of all links below the pin folder. */
function pinnedLinks(folder: string): number[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'maps' ? [] : pinnedLinks(path);
    const shown = command('bpftool', ['-j', 'link', 'show', 'pinned', path]);
    return [(JSON.parse(shown) as Link).id];
  });
}

function links(): Set<number> {
  return new Set(bpftoolList<Link>('link').map(({ id }) => id));
}

test('a second agent waits for the first', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  await serve(mesh, server, PORT);
  const first = await startAgent({ mesh });
  const second = launchAgent({ mesh });
  await second.waitForLog(WAITING);
  const dialler = await dial(mesh, client, server.v4, PORT);
  await sleep(1000);
  assert.ok(!second.log.some(({ msg }) => msg === 'ready'));
  let ended = 0;
  void first.ended.then(() => (ended = Date.now()));
  await first.kill('SIGKILL');
  const taken = await second.waitForLog('ready');
  const ms = Date.parse(String(taken['time'])) - ended;
  t.diagnostic(`the second agent serves ${ms} ms after the end of the first`);
  assert.ok(ms < 3000, `${ms} ms`);
  const counts = await dialler.turns(50);
  assert.deepEqual([counts.failed, counts.ended], [0, 0], counts.text);
  assert.equal(second.log.filter(({ msg }) => msg === WAITING).length, 1);
});

test('a waiting agent stops when it is told to', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'one' }] });
  await startAgent({ mesh });
  const second = launchAgent({ mesh });
  await second.waitForLog(WAITING);
  await second.kill('SIGTERM');
  assert.equal(await second.ended, 0);
});

test('cleanup', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client', annotations },
      { name: 'server', annotations },
    ],
  });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  const tree = join(mesh.folder, 'tree');
  copyTree(tree);
  rmSync(join(tree, 'build')); /* a symbolic link: the addon itself stays where it is */
  const root = join(placesOf(mesh).bpffs, 'podwire');
  await serve(mesh, server, PORT);
  const agent = await startAgent({ mesh });
  const held = await hold(mesh, client, server.v4, PORT, 50);
  await held.turns(200);

  await t.test('refuses while an agent runs', async () => {
    const done = cleanup(mesh, tree);
    assert.equal(done.status, EXIT_LOCKED, done.text);
    assert.match(done.text, new RegExp(`pid ${agent.pid}`));
    assert.ok(existsSync(root));
    assert.equal(((await agent.admin('/v1/pods')) as unknown[]).length, 2);
  });

  await agent.kill('SIGKILL');
  const ours = pinnedLinks(root);

  await t.test('removes everything of a dead agent, without the addon', () => {
    /* two sk_lookup, connect, getpeername and getsockname for both families, setsockopt, sock_release, sockops, the iterator */
    assert.equal(ours.length, 2 + 9 + 1);
    const before = links();
    assert.ok(ours.every((id) => before.has(id)));
    const done = cleanup(mesh, tree);
    assert.equal(done.status, 0, done.text);
    assert.equal(existsSync(root), false);
    assert.equal(existsSync(placesOf(mesh).state), false);
    assert.equal(existsSync(placesOf(mesh).socket), false);
  });

  await t.test('no program is attached any more', async () => {
    const deadline = Date.now() + 5000; /* the kernel frees links behind an RCU grace period */
    while (ours.some((id) => links().has(id))) {
      assert.ok(Date.now() < deadline, `still there: ${ours.join()}`);
      await sleep(50);
    }
    for (const { netnsPath } of mesh.pods) {
      const shown = command('nsenter', [`--net=${netnsPath}`, 'bpftool', '-j', 'net']);
      assert.ok(!shown.includes('podwire'), shown);
    }
  });

  await t.test('spliced connections go on, new ones are plain', async () => {
    const counts = await held.turns(200);
    assert.deepEqual([counts.open, counts.failed, counts.ended], [50, 0, 0], counts.text);
    const dialler = await dial(mesh, client, server.v4, PORT);
    assert.equal((await dialler.turns(20)).failed, 0);
  });

  await t.test('a second time there is nothing to do', () => {
    const done = cleanup(mesh, tree);
    assert.equal(done.status, 0, done.text);
    assert.match(done.text, /nothing of podwire/);
  });

  await t.test('and an agent starts anew', async () => {
    const next = await startAgent({ mesh });
    const young = await hold(mesh, client, server.v4, PORT, 10);
    await young.turns(50);
    assert.ok((await next.counters())['spliced']! >= 10);
  });
});

test('the end of an agent with a proxied pod', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [{ name: 'client', annotations: proxied }, { name: 'server' }, { name: 'spare' }],
  });
  const [client, server] = [mesh.pod('client'), mesh.pod('server')];
  await serve(mesh, server, PORT);
  let agent: Agent = await startAgent({ mesh });

  await t.test('connections and changes leave no descriptor and no thread', async () => {
    const without: readonly Resource[] = meshResources(mesh).filter(
      ({ metadata }) => (metadata as { name: string }).name !== 'spare',
    );
    const round = async (): Promise<void> => {
      const dialler = await dial(mesh, client, server.v4, PORT);
      await dialler.turns(50);
      await dialler.stop();
      agent.writeResource('mesh.yaml', without);
      await sleep(300);
      agent.writeResource('mesh.yaml', meshResources(mesh));
      await sleep(300);
    };
    await round();
    const before = footprint(agent.pid);
    for (let i = 0; i < 5; i++) await round();
    const after = footprint(agent.pid);
    assert.ok(after.descriptors <= before.descriptors, JSON.stringify({ before, after }));
    assert.ok(after.threads <= before.threads, JSON.stringify({ before, after }));
  });

  await t.test('SIGTERM: what is proxied finishes, new connections go straight', async () => {
    const held = await hold(mesh, client, server.v4, PORT, 20);
    const dialler = await dial(mesh, client, server.v4, PORT);
    await held.turns(100);
    const captured = (await agent.counters())['captured-out']!;
    assert.ok(captured >= 20, `${captured} captured`);
    process.kill(agent.pid, 'SIGTERM');
    await agent.waitForLog('stopping');
    const counts = await held.turns(200);
    assert.deepEqual([counts.open, counts.failed, counts.ended], [20, 0, 0], counts.text);
    const dialled = await dialler.turns(200);
    assert.deepEqual([dialled.failed, dialled.ended], [0, 0], dialled.text);
    const since = Date.now();
    await held.stop();
    assert.equal(await agent.ended, 0);
    t.diagnostic(`the agent ended ${Date.now() - since} ms after its last connection`);
    const last = await dialler.turns(100);
    assert.deepEqual([last.failed, last.ended], [0, 0], last.text);
    await dialler.stop();
  });

  await t.test('a second SIGINT does not wait', async () => {
    agent = await startAgent({ mesh });
    const held = await hold(mesh, client, server.v4, PORT, 5);
    await held.turns(20);
    process.kill(agent.pid, 'SIGINT');
    await agent.waitForLog('stopping');
    const since = Date.now();
    process.kill(agent.pid, 'SIGINT');
    assert.equal(await agent.ended, EXIT_ABANDONED);
    assert.ok(Date.now() - since < 2000);
    assert.match(agent.stderr, /a second signal/);
  });
});
