/**
 * Whatever the order of changes, the index ends where a new one begins.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inboundClassOf } from '../../../../src/control/translate/l7/inbound/inbound-class.ts';
import { InboundIndex } from '../../../../src/control/translate/l7/inbound/inbound-index.ts';
import { PolicyCatalog } from '../../../../src/control/translate/l7/inbound/policy-catalog.ts';
import {
  inboundPorts,
  type InboundWorkload,
} from '../../../../src/control/translate/l7/inbound/workload-ports.ts';
import type { Delta } from '../../../../src/model/messages.ts';
import type { AuthorizationPolicyResource, Resource } from '../../../../src/model/resource.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';
import { policyResource } from './policy-arbitraries.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const ROOT = 'istio-system';

const POLICIES: readonly AuthorizationPolicyResource[] = [
  ...['GET', 'POST'].flatMap((method) =>
    ['shop', ROOT].flatMap((namespace) =>
      [undefined, { matchLabels: { app: 'a' } }].map((selector) =>
        policyResource(namespace, selector ? 'narrow' : 'wide', {
          ...(selector ? { selector } : {}),
          rules: [{ to: [{ operation: { methods: [method] } }] }],
        }),
      ),
    ),
  ),
  policyResource('shop', 'wide', { rules: [{}] }),
  policyResource('shop', 'ref', { targetRefs: [{ kind: 'Service', name: 's' }], rules: [{}] }),
];

const workload = fc.record<InboundWorkload>({
  uid: fc.constantFrom('u1', 'u2', 'u3'),
  namespace: fc.constantFrom('shop', 'other', ROOT),
  labels: fc.constantFrom(new Map([['app', 'a']]), new Map([['app', 'b']])),
  ports: fc.constantFrom(
    new Map([[80, { protocol: 'http' as const, services: ['s'] }]]),
    new Map([
      [80, { protocol: 'auto' as const, services: [] }],
      [90, { protocol: 'tcp' as const, services: ['s'] }],
    ]),
  ),
});

type Step =
  | {
      readonly on: 'policy';
      readonly isThere: boolean;
      readonly policy: AuthorizationPolicyResource;
    }
  | { readonly on: 'pod'; readonly isThere: boolean; readonly pod: InboundWorkload }
  | { readonly on: 'flush' };

const isThere = fc.constantFrom(true, true, false);
const policyStep = fc.record({
  on: fc.constant('policy' as const),
  isThere,
  policy: fc.constantFrom(...POLICIES),
});
const podStep = fc.record({ on: fc.constant('pod' as const), isThere, pod: workload });
const step: fc.Arbitrary<Step> = fc.oneof(
  policyStep,
  podStep,
  fc.constant({ on: 'flush' as const }),
);

test('changes in any order end in what a new index says', () => {
  let most = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 30 }), (steps) => {
      const index = new InboundIndex(ROOT);
      const policies = new Map<string, AuthorizationPolicyResource>();
      const pods = new Map<string, InboundWorkload>();
      const state = new State();
      for (const one of steps) {
        if (one.on === 'flush') state.apply(index.flush());
        else if (one.on === 'pod') {
          const { uid } = one.pod;
          const pod = one.isThere ? one.pod : undefined;
          if (pod) pods.set(uid, pod);
          else pods.delete(uid);
          index.setWorkload(uid, pod);
        } else {
          const { id } = one.policy;
          const after = one.isThere ? one.policy : undefined;
          index.change(policies.get(id), after);
          if (after) policies.set(id, after);
          else policies.delete(id);
        }
      }
      state.apply(index.flush());
      const fresh = new InboundIndex(ROOT);
      for (const found of policies.values()) fresh.change(undefined, found);
      for (const pod of pods.values()) fresh.setWorkload(pod.uid, pod);
      const expected = new State();
      expected.apply(fresh.flush());
      assert.deepEqual(state.sorted(), expected.sorted());
      const catalog = new PolicyCatalog(ROOT);
      for (const found of policies.values()) catalog.set(found, true);
      for (const uid of ['u1', 'u2', 'u3']) {
        const pod = pods.get(uid);
        const name = pod ? inboundClassOf(pod, catalog.appliedTo(pod)) : '';
        assert.equal(index.classOf(uid), name);
        assert.equal(fresh.classOf(uid), name);
      }
      assert.deepEqual(index.flush().listeners, { upserts: [], removals: [] });
      most = Math.max(most, state.messages.size);
    }),
    { seed: SEED, numRuns: 500, endOnFailure: true },
  );
  assert.ok(most >= 3, `${most}`);
});

class State {
  readonly messages = new Map<string, unknown>();

  apply(update: ReturnType<InboundIndex['flush']>): void {
    this.#take('listener', update.listeners);
    this.#take('cluster', update.clusters);
  }

  sorted(): unknown[] {
    return [...this.messages].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  #take(type: string, { upserts, removals }: Delta<{ readonly name: string }>): void {
    for (const name of removals) assert.ok(this.messages.delete(`${type} ${name}`), name);
    for (const one of upserts) this.messages.set(`${type} ${one.name}`, one);
  }
}

test('ports: what Services say is spoken, and what containers have beside that', () => {
  const read = (yaml: object) => validateDocument(yaml, 'f.yaml').resources[0] as Resource;
  const pod = read({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'shop' },
    spec: {
      containers: [
        { name: 'c', image: 'i', ports: [{ containerPort: 7 }, { containerPort: 8080 }] },
      ],
    },
    status: { podIPs: [{ ip: '10.0.0.1' }] },
  });
  const service = (name: string, portName: string) =>
    read({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'shop' },
      spec: { selector: { app: 'p' }, ports: [{ name: portName, port: 80, targetPort: 8080 }] },
    });
  const [a, b] = [service('a', 'web'), service('b', 'grpc-web')];
  assert.ok(pod.kind === 'Pod' && a?.kind === 'Service' && b?.kind === 'Service');
  const targets = [{ servicePort: 80, targetPort: 8080 }];
  assert.deepEqual(
    inboundPorts(pod, [
      { service: b, targets },
      { service: a, targets },
    ]),
    new Map([
      [7, { protocol: 'auto', services: [] }],
      [8080, { protocol: 'http2', services: ['a', 'b'] }],
    ]),
  );
});
