/**
 * The data path on a bpffs and a cgroup of its own: what is pinned, that the next agent adopts it without a gap, that one
 * with other numbers starts a generation, Services in real maps, and that clean-up leaves nothing.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { pino } from 'pino';
import type { Backend, ServiceEntry } from '../../src/compile/kernel/services.ts';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import {
  Backend as BackendValue,
  BackendLoad,
  LbPolicy,
  MemberKey,
  Service,
  ServiceKey,
  SlotKey,
} from '../../src/kernel/abi/layout.gen.ts';
import { type Binding, loadBinding } from '../../src/kernel/binding.ts';
import { removePins } from '../../src/kernel/cleanup.ts';
import { DataPath } from '../../src/kernel/data-path.ts';
import { ServiceTable } from '../../src/kernel/service-table.ts';
import { TypedMap, u32, u64 } from '../../src/kernel/typed-map.ts';
import type { Ip } from '../../src/model/ip.ts';
import { command, makeCgroup, removeCgroup, skipReason, uniqueName } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';
import { makeNetns, makePinFolder } from './native-fixture.ts';

const skip = skipReason('bpftool');
const HOOKS = 9;

const load = (active: bigint): BackendLoad => ({ active, sampledNs: 0n, latencyNs: 0n });

interface Node {
  readonly binding: Binding;
  readonly bpffs: string;
  readonly cgroup: string;
  start(adopt: boolean): DataPath;
  /** program ids of the cgroup's hooks */
  attached(): number[];
}

function makeNode(context: TestContext): Node {
  const binding = loadBinding();
  const bpffs = makePinFolder(context);
  const cgroup = makeCgroup(uniqueName());
  context.after(() => {
    removePins(bpffs);
    removeCgroup(cgroup);
  });
  return {
    binding,
    bpffs,
    cgroup,
    start(adopt) {
      const objects = join(repositoryRoot(), 'bpf/.output');
      const log = pino({ level: 'silent' });
      return new DataPath({ binding, objects, bpffs, cgroup, log, adopt });
    },
    attached() {
      const text = command('bpftool', ['-j', 'cgroup', 'show', cgroup]).trim();
      const shown = JSON.parse(text || '[]') as { id: number }[];
      return shown.map(({ id }) => id);
    },
  };
}

test('attach pins everything, and closing takes nothing away', { skip }, (t) => {
  const node = makeNode(t);
  const path = node.start(true);
  assert.equal(path.adopted, false);
  assert.deepEqual(node.attached(), [], 'nothing is attached before attach()');
  path.attach();
  assert.equal(node.attached().length, HOOKS);
  const { maps, conns } = path.generation;
  for (const name of ['records', 'conns', 'policies', 'services', 'lb_loads', 'trust', 'socks']) {
    assert.ok(existsSync(join(maps, name)), name);
  }
  assert.ok(existsSync(conns));
  path.close();
  assert.equal(node.attached().length, HOOKS, 'pinned hooks work on without a process');
});

test('the next agent adopts maps and replaces programs in their links', { skip }, (t) => {
  const node = makeNode(t);
  const first = node.start(true);
  first.attach();
  const active = new TypedMap('lb_loads', first.map('lb_loads'), u32, BackendLoad);
  active.set(42, load(7n));
  const mapId = first.map('lb_loads').info().id;
  const programs = node.attached();
  first.close();
  const second = node.start(true);
  t.after(() => second.close());
  assert.equal(second.adopted, true);
  assert.equal(second.generation.number, first.generation.number);
  assert.deepEqual(node.attached(), programs, 'the old programs work until the new ones take over');
  second.attach();
  assert.equal(node.attached().length, HOOKS, 'no hook twice');
  assert.ok(
    node.attached().every((id) => !programs.includes(id)),
    'new programs',
  );
  assert.equal(second.map('lb_loads').info().id, mapId);
  assert.equal(
    new TypedMap('lb_loads', second.map('lb_loads'), u32, BackendLoad).get(42)?.active,
    7n,
  );
});

test('an agent whose numbers mean something else starts a generation', { skip }, (t) => {
  const node = makeNode(t);
  const first = node.start(true);
  first.attach();
  new TypedMap('lb_loads', first.map('lb_loads'), u32, BackendLoad).set(42, load(7n));
  first.close();
  const second = node.start(false);
  t.after(() => second.close());
  assert.equal(second.adopted, false);
  assert.equal(second.generation.number, first.generation.number + 1);
  assert.equal(
    new TypedMap('lb_loads', second.map('lb_loads'), u32, BackendLoad).get(42),
    undefined,
  );
  second.attach();
  assert.deepEqual(
    second.generations.olderThan(second.generation).map(({ number }) => number),
    [first.generation.number],
  );
});

test('pods get their program, keep it, and lose it', { skip }, (t) => {
  const node = makeNode(t);
  const path = node.start(true);
  t.after(() => path.close());
  const netnsPath = makeNetns(t);
  const netnsCookie = node.binding.netnsCookie(netnsPath);
  const pod = { netnsCookie, netnsPath, id: 1, identity: 2, flags: 0, workers: 1 };
  const links = (): string[] => readdirSync(path.generations.pods);
  path.attachPod(pod);
  assert.deepEqual(links(), [netnsCookie.toString()]);
  path.attachPod({ ...pod, identity: 3 });
  assert.deepEqual(path.attachedPods(), [netnsCookie]);
  path.detachPod(netnsCookie);
  assert.deepEqual(links(), []);
  path.attachPod(pod);
  assert.deepEqual(path.attachedPods(), [netnsCookie]);
});

test('Services: tables are replaced whole, active counts stay', { skip }, (t) => {
  const node = makeNode(t);
  const path = node.start(true);
  t.after(() => path.close());
  const map = (name: string) => path.map(name);
  const services = new TypedMap('services', map('services'), ServiceKey, Service);
  const slots = new TypedMap('lb_slots', map('lb_slots'), SlotKey, BackendValue);
  const active = new TypedMap('lb_loads', map('lb_loads'), u32, BackendLoad);
  const backend = (id: number): Backend => ({ id, addr: `10.0.0.${id}` as Ip, port: 8080 });
  const entry = (...ids: readonly number[]): ServiceEntry => ({
    ...{ key: '198.18.0.1|80', addr: '198.18.0.1' as Ip, port: 80, id: 5, rounded: false },
    ...{ policy: 'least-conn', slots: ids.map(backend) },
    ...{ affinitySeconds: 0, maxConnections: 0, limit: 0 },
    service: { namespace: 'default', name: 'web', hostname: 'web.default.svc.cluster.local' },
  });
  const key = { addr: addrFromText('198.18.0.1'), port: 80 };
  const table = new ServiceTable(map);

  table.put(entry(1, 2, 2));
  const first = services.get(key)!;
  assert.equal(first.slots, 3);
  assert.equal(first.policy, LbPolicy.LEAST_CONN);
  assert.deepEqual(
    [0, 1, 2].map((slot) => slots.get({ service: 5, generation: first.generation, slot })?.id),
    [1, 2, 2],
  );
  assert.equal(slots.entries().length, 3);
  active.set(1, load(4n));

  table.put(entry(2, 3));
  const second = services.get(key)!;
  assert.notEqual(second.generation, first.generation);
  assert.equal(slots.entries().length, 2, 'the old table is gone');
  assert.equal(active.get(1)?.active, 4n, 'connections of a backend that left are still counted');
  assert.equal(active.get(3)?.active, 0n);

  table.put(entry());
  assert.equal(
    services.get(key)?.slots,
    0,
    'a Service without endpoints refuses, it does not vanish',
  );
  assert.equal(slots.entries().length, 0);

  table.put(entry(1));
  active.set(1, load(0n));
  const next = new ServiceTable(map);
  next.prune();
  assert.deepEqual(services.entries(), [], 'what the next mesh does not have');
  assert.deepEqual(slots.entries(), []);
  assert.deepEqual(active.entries(), []);
});

test('Services: members follow their table, a limit lives as long as it counts', { skip }, (t) => {
  const node = makeNode(t);
  const path = node.start(true);
  t.after(() => path.close());
  const map = (name: string) => path.map(name);
  const members = new TypedMap('lb_members', map('lb_members'), MemberKey, BackendValue);
  const limits = new TypedMap('lb_limits', map('lb_limits'), u32, u64);
  const table = new ServiceTable(map);
  const entry = (ids: readonly number[], more: Partial<ServiceEntry> = {}): ServiceEntry => ({
    ...{ key: '198.18.0.1|80', addr: '198.18.0.1' as Ip, port: 80, id: 5, rounded: false },
    ...{ policy: 'round-robin', affinitySeconds: 60, maxConnections: 9, limit: 3 },
    slots: ids.map((id) => ({ id, addr: `10.0.0.${id}` as Ip, port: 8080 })),
    service: { namespace: 'default', name: 'web', hostname: 'web.default.svc.cluster.local' },
    ...more,
  });
  const ids = () =>
    members
      .entries()
      .map(([key, value]): [number, number] => [key.backend, value.id])
      .sort(([a], [b]) => a - b);

  table.put(entry([1, 2, 2]));
  assert.deepEqual(ids(), [
    [1, 1],
    [2, 2],
  ]);
  assert.deepEqual(limits.entries(), [[3, 0n]]);
  limits.set(3, 4n);
  table.put(entry([2]));
  assert.deepEqual(ids(), [[2, 2]]);
  assert.equal(limits.get(3), 4n, 'another table of the same Service goes on counting');
  table.put(entry([2], { affinitySeconds: 0, maxConnections: 0, limit: 0 }));
  assert.deepEqual(ids(), []);
  assert.equal(limits.get(3), 4n, 'open connections still give back what they took');
  limits.set(3, 0n);
  table.put(entry([1]));

  const next = new ServiceTable(map);
  next.put(entry([1]));
  assert.equal(members.entries().length, 2, 'the table of the last agent is there until it prunes');
  next.prune();
  assert.deepEqual(ids(), [[1, 1]]);
  new ServiceTable(map).prune();
  assert.deepEqual(members.entries(), []);
  assert.deepEqual(limits.entries(), []);
});

test('clean-up detaches and removes everything', { skip }, (t) => {
  const node = makeNode(t);
  const path = node.start(true);
  const netnsPath = makeNetns(t);
  const netnsCookie = node.binding.netnsCookie(netnsPath);
  path.attachPod({ netnsCookie, netnsPath, id: 1, identity: 2, flags: 0, workers: 1 });
  path.attach();
  path.close();
  assert.equal(node.attached().length, HOOKS);
  const report = removePins(node.bpffs);
  assert.deepEqual(report.failed, []);
  assert.ok(report.removed.length > HOOKS);
  assert.deepEqual(readdirSync(node.bpffs), []);
  assert.deepEqual(node.attached(), []);
});
