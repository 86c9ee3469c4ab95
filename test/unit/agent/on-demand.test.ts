/**
 * On demand: what pods dial is asked for once, kept while it is dialled, and costs a bounded amount whatever they dial.
 */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OnDemand, type OnDemandLimits } from '../../../src/agent/on-demand.ts';
import type { Address } from '../../../src/model/messages.ts';
import { SnapshotStore } from '../../../src/store/snapshot-store.ts';
import { until } from '../../support/xds-server.ts';
import { pod, uid } from '../../support/xds-client.ts';
import { service } from '../../support/xds-service.ts';

const WEB = 'default/web.default.svc.cluster.local';

class Server {
  forgets = true;
  readonly store = new SnapshotStore();
  readonly requests: (readonly string[])[] = [];
  readonly asked = new Set<string>();
  readonly forgotten: string[] = [];
  /** name → what comes for it */
  readonly knows = new Map<string, readonly Address[]>();

  constructor() {
    const none = { upserts: [], removals: [] };
    this.store.apply({ addresses: none, authorizations: none });
  }

  lookup(names: readonly string[]): Promise<boolean>[] {
    this.requests.push(names);
    return names.map(async (name) => {
      this.asked.add(name);
      await sleep(1);
      const upserts = this.knows.get(name) ?? [];
      this.store.apply({ addresses: { upserts, removals: [] } });
      return upserts.length > 0;
    });
  }

  forget(names: readonly string[], resources: readonly string[]): void {
    for (const name of names) this.asked.delete(name);
    this.forgotten.push(...names, ...resources);
    this.store.apply({ addresses: { upserts: [], removals: resources } });
  }
}

function start(t: TestContext, limits: Partial<OnDemandLimits> = {}): [OnDemand, Server] {
  const server = new Server();
  const { store } = server;
  const onDemand = new OnDemand({
    client: server,
    mesh: {
      get snapshot() {
        return store.current;
      },
      uidOf: (number) => (number <= 2 ? uid(`own-${number}`) : undefined),
    },
    limits: { batchMs: 1, ...limits },
  });
  t.after(() => onDemand.close());
  server.knows.set(uid('own-1'), [pod('own-1', '10.0.1.1', { node: 'n1' })]);
  server.knows.set(uid('own-2'), [pod('own-2', '10.0.1.2', { node: 'n1' })]);
  onDemand.setPods([uid('own-1'), uid('own-2')]);
  return [onDemand, server];
}

const answered = (onDemand: OnDemand): Promise<void> =>
  until('answers', () => onDemand.status().asking === 0);

const endpoint = (name: string, ip: string): Address =>
  pod(name, ip, { services: new Map([[WEB, [{ servicePort: 80, targetPort: 8080 }]]]) });

test('own pods by name; addresses once, in one request, however often they are dialled', async (t) => {
  const [onDemand, server] = start(t);
  assert.deepEqual(server.requests, [[uid('own-1'), uid('own-2')]]);
  server.knows.set('/10.0.0.1', [pod('a', '10.0.0.1')]);
  for (let round = 0; round < 3; round++) {
    onDemand.met(1, '10.0.0.1');
    onDemand.met(2, '10.0.0.1');
    onDemand.met(1, '10.0.0.2');
    onDemand.met(9, '10.0.0.3');
  }
  await answered(onDemand);
  for (let round = 0; round < 3; round++) onDemand.met(1, '10.0.0.1');
  await answered(onDemand);
  assert.deepEqual(server.requests.slice(1), [['/10.0.0.1', '/10.0.0.2']]);
  assert.deepEqual(onDemand.status(), { asking: 0, found: 1, nobody: 1, refused: 0 });
  assert.ok(!server.asked.has('/10.0.0.2'), 'the server need not remember it');
  assert.ok(server.store.current.workloads.has(uid('a')));
});

test('of nobody is asked again after a while, and only when it is dialled', async (t) => {
  const [onDemand, server] = start(t, { noneMs: 500, keptMs: 10_000 });
  onDemand.met(1, '10.0.0.1');
  await answered(onDemand);
  server.knows.set('/10.0.0.1', [pod('a', '10.0.0.1')]);
  onDemand.met(1, '10.0.0.1');
  await answered(onDemand);
  assert.deepEqual(onDemand.status(), { asking: 0, found: 0, nobody: 1, refused: 0 });
  await sleep(600);
  onDemand.met(1, '10.0.0.1');
  await answered(onDemand);
  assert.deepEqual(onDemand.status(), { asking: 0, found: 1, nobody: 0, refused: 0 });
});

test('what nobody dials any more goes, with what came with it, and nothing else does', async (t) => {
  const [onDemand, server] = start(t, { keptMs: 1000 });
  server.knows.set('/10.96.0.1', [service('web', '10.96.0.1'), endpoint('w', '10.0.0.7')]);
  server.knows.set('/10.0.0.8', [endpoint('v', '10.0.0.8')]);
  server.knows.set('/10.0.0.9', [pod('x', '10.0.0.9', { node: 'n1' })]);
  for (const ip of ['10.96.0.1', '10.0.0.8', '10.0.0.9']) onDemand.met(1, ip);
  await answered(onDemand);
  const held = (): string[] => [...server.store.current.workloads.keys()].sort();
  const all = ['own-1', 'own-2', 'v', 'w', 'x'].map(uid);
  assert.deepEqual(held(), all);
  for (let round = 0; round < 8; round++) {
    await sleep(200);
    onDemand.met(2, '10.0.0.8');
  }
  onDemand.sweep();
  assert.ok(!server.store.current.services.has(WEB));
  assert.deepEqual(held(), ['own-1', 'own-2', 'v', 'x'].map(uid), 'x is of this node');
  assert.ok(server.forgotten.includes('/10.96.0.1') && server.forgotten.includes(uid('w')));
  assert.ok(server.asked.has('/10.0.0.8'));
});

test('a pod that dials everything costs its own share, and nobody else’s', async (t) => {
  const [onDemand, server] = start(t, { addressesPerPod: 100, addresses: 150 });
  server.knows.set('/10.9.9.9', [pod('a', '10.9.9.9')]);
  onDemand.met(2, '10.9.9.9');
  for (let n = 0; n < 5000; n++) onDemand.met(1, `10.1.${n >> 8}.${n & 255}`);
  await answered(onDemand);
  const { found, nobody, asking } = onDemand.status();
  assert.deepEqual([found, asking], [1, 0]);
  assert.equal(nobody, 100);
  assert.ok(server.requests.length < 10, `${server.requests.length} requests`);
  for (let n = 0; n < 200; n++) onDemand.met(2, `10.2.0.${n}`);
  assert.ok(onDemand.status().refused > 0, 'the node as a whole has a limit too');
});

test('with a server that takes no name back nothing is forgotten, and the limits hold all the same', async (t) => {
  const [onDemand, server] = start(t, { addressesPerPod: 100, keptMs: 1, noneMs: 1 });
  server.forgets = false;
  server.knows.set('/10.9.9.9', [pod('a', '10.9.9.9')]);
  onDemand.met(1, '10.9.9.9');
  for (let n = 0; n < 500; n++) onDemand.met(1, `10.1.0.${n}`);
  await answered(onDemand);
  onDemand.sweep();
  onDemand.setPods([]);
  assert.deepEqual(server.forgotten, []);
  assert.deepEqual(onDemand.status(), { asking: 0, found: 1, nobody: 99, refused: 401 });
  assert.ok(server.store.current.workloads.has(uid('a')));
});

test('pods that are gone take what they dialled along', async (t) => {
  const [onDemand, server] = start(t);
  server.knows.set('/10.0.0.1', [pod('a', '10.0.0.1')]);
  onDemand.met(1, '10.0.0.1');
  await answered(onDemand);
  onDemand.setPods([uid('own-2')]);
  assert.deepEqual([...server.store.current.workloads.keys()], [uid('own-1'), uid('own-2')]);
  onDemand.setPods([]);
  assert.deepEqual([...server.store.current.workloads.keys()], []);
  assert.deepEqual([...server.asked], []);
});
