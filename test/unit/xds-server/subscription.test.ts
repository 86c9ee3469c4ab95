/**
 * A client that does what it is told, and a mesh that changes in every way: both agree when nothing is left to send.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseIp } from '../../../src/model/ip.ts';
import type { Address } from '../../../src/model/messages.ts';
import { Changes, ResourceTable } from '../../../src/xds/server/resource-table.ts';
import type { Scope } from '../../../src/xds/server/scope.ts';
import { Subscription } from '../../../src/xds/server/subscription.ts';
import { silentLog } from '../../support/xds-server.ts';
import { codec, pod, uid } from '../../support/xds-client.ts';
import { service } from '../../support/xds-service.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const name = fc.constantFrom(...NAMES);

type Step =
  | { readonly do: 'put'; readonly name: string; readonly ip: number }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'push' }
  | { readonly do: 'reconnect'; readonly wildcard: boolean }
  | { readonly do: 'hide'; readonly name: string; readonly hidden: boolean }
  | { readonly do: 'subscribe'; readonly name: string }
  | { readonly do: 'unsubscribe'; readonly name: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('put' as const),
      name,
      ip: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
  { weight: 3, arbitrary: fc.constant({ do: 'push' as const }) },
  fc.record({ do: fc.constant('reconnect' as const), wildcard: fc.boolean() }),
  fc.record({ do: fc.constant('hide' as const), name, hidden: fc.boolean() }),
  fc.record({ do: fc.constant('subscribe' as const), name }),
  fc.record({ do: fc.constant('unsubscribe' as const), name }),
);

class Model {
  readonly table = new ResourceTable({ codec, log: silentLog });
  readonly hidden = new Set<string>();
  readonly mesh = new Map<string, Address>();
  /** what the client has: name → version */
  readonly client = new Map<string, string>();
  /** asked for by name; undefined: everything */
  names: Set<string> | undefined;
  subscription!: Subscription;
  readonly scope: Scope = {
    cluster: undefined,
    has: (_key, of) => !this.hidden.has(of),
    moved: () => [],
  };

  constructor(wildcard: boolean) {
    this.connect(wildcard);
  }

  connect(wildcard: boolean): void {
    this.subscription?.close();
    this.subscription = new Subscription('addresses', this.table, this.scope);
    if (wildcard) this.names = undefined;
    else this.names ??= new Set(NAMES.slice(0, 2).map(uid));
    if (this.names !== undefined) {
      for (const one of this.client.keys()) if (!this.names.has(one)) this.client.delete(one);
    }
    this.subscription.subscribe(this.names ?? ['*']);
    this.subscription.hold(this.client);
  }

  apply(upserts: readonly Address[], removals: readonly string[]): void {
    const changes = new Changes();
    this.table.apply({ addresses: { upserts, removals } }, changes);
    this.subscription.mark(changes);
  }

  push(): void {
    const plan = this.subscription.plan('all');
    for (const [index, entry] of plan.upserts.entries()) {
      assert.ok(!this.hidden.has(entry.name), 'what is hidden is never sent');
      this.client.set(entry.name, plan.frames[index]!.version);
    }
    for (const { name: gone } of plan.removals) {
      assert.ok(this.client.delete(gone), 'only what it has is removed');
    }
    for (const stray of plan.strays) this.client.delete(stray);
    this.subscription.commit(plan);
  }

  take(next: Step): void {
    switch (next.do) {
      case 'put': {
        const address = pod(next.name, `10.0.0.${next.ip}`);
        this.mesh.set(uid(next.name), address);
        this.apply([address], []);
        return;
      }
      case 'remove':
        this.mesh.delete(uid(next.name));
        this.apply([], [uid(next.name)]);
        return;
      case 'push':
        this.push();
        return;
      case 'reconnect':
        this.connect(next.wildcard);
        return;
      case 'hide':
        if (next.hidden) this.hidden.add(uid(next.name));
        else this.hidden.delete(uid(next.name));
        this.subscription.rescan();
        return;
      case 'subscribe':
        if (this.names === undefined) return;
        this.names.add(uid(next.name));
        this.subscription.subscribe([uid(next.name)]);
        return;
      case 'unsubscribe':
        if (this.names === undefined) return;
        this.names.delete(uid(next.name));
        this.client.delete(uid(next.name));
        this.subscription.unsubscribe([uid(next.name)]);
    }
  }

  check(): void {
    this.push();
    const wanted = [...this.mesh.keys()].filter(
      (one) => !this.hidden.has(one) && (this.names?.has(one) ?? true),
    );
    assert.deepEqual([...this.client.keys()].sort(), wanted.sort());
    for (const [one, version] of this.client) {
      const entry = this.table.type('addresses').get(one)!;
      assert.equal(version, entry.frame(codec, undefined).version);
    }
    assert.equal(this.subscription.held, wanted.length);
    assert.ok(!this.subscription.due && !this.subscription.removalsDue);
    assert.equal(this.subscription.plan('all').news, false);
  }
}

test('whatever happens, the client ends up with what it asks for and may have', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 40 }), (wildcard, steps) => {
      const model = new Model(wildcard);
      for (const next of steps) model.take(next);
      model.check();
      model.subscription.close();
      const entries = [...model.table.type('addresses').entries()];
      assert.ok(entries.every(({ holders, resource }) => holders === 0 && resource !== undefined));
      assert.equal(model.table.type('addresses').count, model.mesh.size);
    }),
    { numRuns: 500 },
  );
});

test('an address of several belongs to the pod, then to another workload', () => {
  const table = new ResourceTable({ codec, log: silentLog });
  const other = pod('vm', '10.0.0.1', { uid: 'Kubernetes//WorkloadEntry/default/vm' });
  table.apply(
    { addresses: { upserts: [other, pod('p', '10.0.0.1')], removals: [] } },
    new Changes(),
  );
  const resolve = (): string | undefined =>
    table.addresses.resolve({ network: '', ip: parseIp('10.0.0.1')! }, undefined, () => true)?.name;
  assert.equal(resolve(), uid('p'));
  table.apply({ addresses: { upserts: [], removals: [uid('p')] } }, new Changes());
  assert.equal(resolve(), 'Kubernetes//WorkloadEntry/default/vm');
});

test('each cluster sees a Service at its own addresses, and other clusters’ changes change nothing', () => {
  const table = new ResourceTable({ codec, log: silentLog });
  const web = service('web', '10.96.0.1');
  const at = (east: string, west: string): Address => ({
    ...web,
    service: {
      ...web.service,
      clusterAddresses: new Map([
        ['east', [parseIp(east)!]],
        ['west', [parseIp(west)!]],
      ]),
    },
  });
  const put = (address: Address): boolean => {
    const changes = new Changes();
    table.apply({ addresses: { upserts: [address], removals: [] } }, changes);
    return !changes.empty;
  };
  assert.ok(put(at('10.96.0.1', '10.97.0.1')));
  assert.ok(!put(at('10.96.0.1', '10.97.0.1')), 'the same again');
  const name = 'default/web.default.svc.cluster.local';
  const version = (cluster: string | undefined): string =>
    table.type('addresses').get(name)!.frame(codec, cluster).version;
  const before = [version('east'), version('west')];
  assert.notEqual(before[0], before[1]);
  assert.ok(put(at('10.96.0.1', '10.97.0.2')));
  assert.equal(version('east'), before[0]);
  assert.notEqual(version('west'), before[1]);
  const resolve = (ip: string, cluster: string): string | undefined =>
    table.addresses.resolve({ network: '', ip: parseIp(ip)! }, cluster, () => true)?.name;
  assert.deepEqual(
    [resolve('10.97.0.2', 'west'), resolve('10.97.0.2', 'east'), resolve('10.97.0.1', 'west')],
    [name, undefined, undefined],
  );
});
