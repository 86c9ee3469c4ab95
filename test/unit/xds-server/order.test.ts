/**
 * Whatever changes, and whenever a client answers: in what it has been sent, nothing refers to what is not there.  Both
 * protocols; the mesh itself is sound at every moment.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Delta, MeshUpdate } from '../../../src/model/messages.ts';
import type { DeltaResponse, SotwResponse } from '../../../src/xds/codec.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  resourceKeyOf,
  type MeshResources,
  type ResourceKey,
  type ResourceType,
} from '../../../src/xds/resource-types.ts';
import { SERVER_LIMITS } from '../../../src/xds/server/limits.ts';
import { PushBudget } from '../../../src/xds/server/push-budget.ts';
import { Changes, ResourceTable } from '../../../src/xds/server/resource-table.ts';
import type { Scope } from '../../../src/xds/server/scope.ts';
import { AdsStream } from '../../../src/xds/server/stream.ts';
import { DELTA, STATE_OF_THE_WORLD } from '../../../src/xds/server/variant.ts';
import { silentLog } from '../../support/xds-server.ts';
import { codec, pod, policy } from '../../support/xds-client.ts';
import { cluster, endpoints, listener, routes } from '../../support/xds-linked.ts';

type AnyResource = MeshResources[ResourceKey];
type Mesh = ReadonlyMap<ResourceKey, ReadonlyMap<string, AnyResource>>;
type Variant = 'delta' | 'sotw';

const KEYS = RESOURCE_ORDER.filter((key) => key !== 'secrets');

/** Of each: what it refers to, undefined where there is none. */
interface Shape {
  /** listener → route */
  readonly listeners: readonly (number | undefined)[];
  /** route → cluster */
  readonly routes: readonly number[];
  /** workload → policies */
  readonly workloads: readonly (readonly number[] | undefined)[];
  /** moves with every generation of endpoints */
  readonly ip: number;
}

const index = fc.nat(2);
const shape: fc.Arbitrary<Shape> = fc.record({
  listeners: fc.array(fc.option(index, { nil: undefined }), { minLength: 2, maxLength: 2 }),
  routes: fc.array(index, { minLength: 3, maxLength: 3 }),
  workloads: fc.array(fc.option(fc.uniqueArray(index), { nil: undefined }), {
    minLength: 2,
    maxLength: 2,
  }),
  ip: fc.integer({ min: 1, max: 2 }),
});

/** Nothing is there that nothing refers to. */
function meshOf({ listeners, routes: to, workloads, ip }: Shape): Mesh {
  const usedRoutes = new Set(listeners.filter((route) => route !== undefined));
  const usedClusters = new Set([...usedRoutes].map((route) => to[route]!));
  const usedPolicies = new Set(workloads.flatMap((policies) => policies ?? []));
  const all: [ResourceKey, AnyResource[]][] = [
    [
      'addresses',
      workloads.flatMap((policies, at) =>
        policies === undefined
          ? []
          : [
              pod(`w${at}`, `10.0.0.${at + 1}`, {
                authorizationPolicies: policies.map((one) => `default/p${one}`),
              }),
            ],
      ),
    ],
    ['authorizations', [...usedPolicies].map((one) => policy(`p${one}`))],
    ['clusters', [...usedClusters].map((one) => cluster(`c${one}`))],
    ['loadAssignments', [...usedClusters].map((one) => endpoints(`c${one}`, `10.1.0.${ip}`))],
    ['routes', [...usedRoutes].map((one) => routes(`r${one}`, [`c${to[one]!}`]))],
    [
      'listeners',
      listeners.flatMap((route, at) =>
        route === undefined ? [] : [listener(`l${at}`, `r${route}`)],
      ),
    ],
  ];
  return new Map(
    all.map(([key, list]) => {
      const type = RESOURCE_TYPES[key] as ResourceType;
      return [key, new Map(list.map((one) => [type.nameOf(one), one]))];
    }),
  );
}

function changeOf(before: Mesh, after: Mesh): MeshUpdate {
  return Object.fromEntries(
    KEYS.map((key) => {
      const [was, is] = [before.get(key) ?? new Map(), after.get(key)!];
      const removals = [...was.keys()].filter((name) => !is.has(name));
      return [key, { upserts: [...is.values()], removals } satisfies Delta<AnyResource>];
    }),
  );
}

const EVERYTHING: Scope = { cluster: undefined, has: () => true, moved: () => [] };

class Client {
  readonly table = new ResourceTable({ codec, log: silentLog });
  readonly has = new Map<ResourceKey, Map<string, AnyResource>>(
    KEYS.map((key) => [key, new Map()]),
  );
  readonly unanswered = new Map<
    ResourceKey,
    { readonly nonce: string; readonly version: string }
  >();
  readonly #variant: Variant;
  readonly #stream: AdsStream;
  #mesh: Mesh = new Map();

  constructor(variant: Variant) {
    this.#variant = variant;
    this.#stream = new AdsStream({
      id: '1',
      client: {
        identity: { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' },
        node: 'n1',
      },
      peer: '',
      variant: variant === 'delta' ? DELTA : STATE_OF_THE_WORLD,
      table: this.table,
      scope: EVERYTHING,
      limits: SERVER_LIMITS,
      budget: new PushBudget(SERVER_LIMITS.pushBytes),
      events: {
        pushed: () => {},
        acked: () => {},
        nacked: () => {},
        staleNonce: () => assert.fail('a stale nonce'),
        unknownType: () => {},
      },
      write: (response) => this.#read(response),
      end: (_code, details) => assert.fail(details),
    });
    for (const key of KEYS) this.#send(key, {});
  }

  change(mesh: Mesh): void {
    const changes = new Changes();
    this.table.apply(changeOf(this.#mesh, mesh), changes);
    this.#mesh = mesh;
    this.#stream.changed(changes);
  }

  answer(key: ResourceKey): void {
    const response = this.unanswered.get(key);
    if (response === undefined) return;
    this.unanswered.delete(key);
    const version = this.#variant === 'sotw' ? { version_info: response.version } : {};
    this.#send(key, { response_nonce: response.nonce, ...version });
  }

  /** Everything is answered until nothing more comes: then it has the mesh. */
  settle(): void {
    for (let round = 0; this.unanswered.size > 0; round++) {
      assert.ok(round < 50, 'it comes to an end');
      for (const key of [...this.unanswered.keys()]) this.answer(key);
    }
    for (const key of KEYS) {
      const names = [...(this.#mesh.get(key)?.keys() ?? [])];
      assert.deepEqual([...this.has.get(key)!.keys()].sort(), names.sort(), key);
    }
    assert.equal(this.#stream.converged, true);
  }

  #send(key: ResourceKey, request: object): void {
    const { responseDeserialize: _, ...method } = codec.discovery[METHODS[this.#variant]]!;
    const bytes = method.requestSerialize({ type_url: RESOURCE_TYPES[key].typeUrl, ...request });
    this.#stream.receive(method.requestDeserialize(bytes));
  }

  #read(bytes: Buffer): void {
    const message = codec.discovery[METHODS[this.#variant]]!.responseDeserialize(bytes);
    const { type_url: typeUrl, nonce } = message as DeltaResponse & SotwResponse;
    const key = resourceKeyOf(typeUrl)!;
    const there = this.has.get(key)!;
    const put = (value: Uint8Array): void => {
      const type = RESOURCE_TYPES[key] as ResourceType;
      const decoded = type.decode(codec, value);
      assert.ok(decoded.ok);
      there.set(type.nameOf(decoded.value), decoded.value);
    };
    let version = '';
    if (this.#variant === 'delta') {
      const { resources, removed_resources: removed } = message as DeltaResponse;
      for (const { resource } of resources) put(resource!.value);
      for (const name of removed) there.delete(name);
    } else {
      const { resources, version_info: said } = message as SotwResponse;
      there.clear();
      for (const { value } of resources) put(value);
      version = said;
    }
    this.unanswered.set(key, { nonce, version });
    this.#check();
  }

  #check(): void {
    const names = (key: ResourceKey): Set<string> => new Set(this.has.get(key)!.keys());
    const [policies, clusters] = [names('authorizations'), names('clusters')];
    const [assignments, known] = [names('loadAssignments'), names('routes')];
    for (const one of this.has.get('addresses')!.values() as Iterable<MeshResources['addresses']>) {
      const named = one.kind === 'workload' ? one.workload.authorizationPolicies : [];
      for (const name of named) assert.ok(policies.has(name), `a workload without ${name}`);
    }
    for (const one of this.has.get('routes')!.values() as Iterable<MeshResources['routes']>) {
      const { action } = one.virtualHosts[0]!.routes[0]!;
      assert.ok(action.type === 'forward' && action.clusters.type === 'weighted');
      const [{ cluster: to } = { cluster: '' }] = action.clusters.choices;
      assert.ok(clusters.has(to), `${one.name} without ${to}`);
      assert.ok(assignments.has(to), `${one.name} without the endpoints of ${to}`);
    }
    for (const one of this.has.get('listeners')!.values() as Iterable<MeshResources['listeners']>) {
      const { handler } = one.chains[0]!;
      assert.ok(handler.type === 'http' && handler.routes.type === 'rds');
      assert.ok(known.has(handler.routes.name), `${one.name} without ${handler.routes.name}`);
    }
  }
}

const METHODS = {
  delta: 'DeltaAggregatedResources',
  sotw: 'StreamAggregatedResources',
} as const;

suite('nothing that was sent refers to what is not there', () => {
  for (const variant of ['delta', 'sotw'] as const) {
    test(variant, () => {
      const step = fc.oneof(
        { weight: 1, arbitrary: shape },
        { weight: 2, arbitrary: fc.constantFrom(...KEYS) },
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
          const client = new Client(variant);
          for (const one of steps) {
            if (typeof one === 'string') client.answer(one);
            else client.change(meshOf(one));
          }
          client.settle();
        }),
        { numRuns: 500 },
      );
    });
  }

  test('state of the world: what is to go is said once more, and goes when its user has', () => {
    const client = new Client('sotw');
    const to = (at: number): Shape => ({ listeners: [0], routes: [at], workloads: [], ip: 1 });
    client.change(meshOf(to(0)));
    client.settle();
    client.change(meshOf(to(1)));
    assert.deepEqual([...client.has.get('clusters')!.keys()].sort(), ['c0', 'c1']);
    client.answer('clusters');
    client.settle();
    assert.deepEqual([...client.has.get('clusters')!.keys()], ['c1']);
  });
});
