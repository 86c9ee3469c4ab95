/**
 * istiod and podwire's own control read the same API server: what the agent's store then holds is compared field by field.
 * Every difference is listed here with its reason; one that is not, and a reason that has nothing left to explain, fail.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { equal } from '../../src/model/equal.ts';
import { differences, plainMesh, unexplained, type Intended } from '../support/differences.ts';
import { startBesideIstiod, type BesideIstiod } from './beside-istiod.ts';
import { createMeshNamespaces, createObjects, MESH } from './istiod-objects.ts';
import { merge, remove } from './objects.ts';

const SETTLED_MS = 8_000;

const INTENDED: readonly Intended[] = [
  {
    path: /^workloads > .*\/Pod\/.* > workloadType$/,
    why: 'Istio 1.25 says POD of every pod',
    is: (theirs) => theirs === 'POD',
  },
  {
    path: /^workloads > .*\/elsewhere > network$/,
    why: 'Istio 1.25 reads topology.istio.io/network of namespaces and Services only, podwire of pods too',
    is: (theirs, ours) => theirs === '' && ours === 'west',
  },
  {
    path: / > shop\/web\.shop\.svc\.cluster\.local$/,
    why: 'an endpoint that is not ready is listed as UNHEALTHY by istiod and not listed by podwire',
    is: (theirs, ours) => theirs !== undefined && ours === undefined,
  },
  {
    path: /^workloads > .*\/EndpointSlice\/shop\/outside-25\/192\.0\.2\.26$/,
    why: 'the same, of an endpoint without a pod',
    is: (theirs, ours) => theirs !== undefined && ours === undefined,
  },
  {
    path: /^workloads > .*\/EndpointSlice\/.* > (canonicalName|canonicalRevision|workloadName|workloadType)$/,
    why: 'istiod has no telemetry names for endpoints without a pod',
  },
  {
    path: /^workloads > .*\/EndpointSlice\/.* > locality > zone$/,
    why: 'podwire reads the zone of an endpoint without a node',
    is: (theirs, ours) => theirs === '' && ours === 'north-b',
  },
  {
    path: /^workloads > .* > services > shop\/mixed|^services > shop\/mixed.* > ports$/,
    why: 'podwire leaves ports of UDP to kube-proxy; the message does not say the protocol, istiod sends both',
    is: (theirs, ours) => equal(theirs, [DNS_PORT, DNS_PORT]) && equal(ours, [DNS_PORT]),
  },
  {
    path: /^workloads > .*\/lone > authorizationPolicies$/,
    why: 'istiod takes a pod without labels for one that every selector selects',
    is: (theirs, ours) => (theirs as string[]).length > 3 && equal(ours, []),
  },
  {
    path: /^workloads > .*\/web-7d4b9c-[a-j]* > inboundClass$/,
    why: 'podwire’s own extension: the class of its inbound listeners, where rules on requests select the pod',
    is: (theirs, ours) => theirs === '' && /^shop\/[0-9a-f]+$/.test(ours as string),
  },
  {
    path: /^workloads > .*\/WorkloadEntry\/shop\/vm-1 > capacity$/,
    why: 'istiod leaves out the weight of a WorkloadEntry, which the message has a field for',
    is: (theirs, ours) => theirs === 1 && ours === 3,
  },
  {
    path: /^workloads > .*\/ServiceEntry\/shop\/billing\/.* > hostNetwork$/,
    why: 'whoever may write a ServiceEntry may write any address into it: podwire lets it claim none',
    is: (theirs, ours) => theirs === false && ours === true,
  },
  {
    path: /^workloads > .*\/ServiceEntry\/shop\/billing\/.* > authorizationPolicies$/,
    why: 'the same as of the pod without labels: istiod takes the labels of the ServiceEntry for those of its endpoints',
    is: (theirs, ours) => (theirs as string[]).length > 3 && equal(ours, []),
  },
  {
    path: /^services > shop\/anywhere\.example\.com$/,
    why: 'a host that is not resolved is not balanced: podwire leaves its addresses alone',
    is: (theirs, ours) => theirs !== undefined && ours === undefined,
  },
  {
    path: /^services > shop\/same-zone.* > routingPreference$/,
    why: 'Istio 1.25 ends PreferClose with SUBZONE, later ones, as podwire, with ZONE',
  },
  {
    path: /^services > shop\/sticky.* > sessionAffinitySeconds$/,
    why: 'istiod has no field for session affinity',
    is: (theirs, ours) => theirs === 0 && ours === 10_800,
  },
  {
    path: /^authorizations > shop\/trial > dryRun$/,
    why: 'Istio 1.25 enforces a dry run in ambient mode: its message has no field for it',
    is: (theirs, ours) => theirs === false && ours === true,
  },
  {
    path: /^authorizations > shop\/http-deny-only > rules$/,
    why: 'a DENY that loses all of its conditions denies everything: istiod sends a match that never matches',
  },
  {
    path: /^authorizations > shop\/podwire_refused_(custom|for-service)$/,
    why: 'what podwire cannot enforce closes the pods it selects, istiod leaves it out (CUSTOM) or to a waypoint (targetRefs)',
    is: (theirs) => theirs === undefined,
  },
  {
    path: /^workloads > .*\/(opted-out|web-7d4b9c-[a-j]*) > authorizationPolicies$/,
    why: 'the same',
    is: (theirs, ours) =>
      equal(
        theirs,
        (ours as string[]).filter((name) => !name.includes('/podwire_refused_')),
      ),
  },
];
const DNS_PORT = { servicePort: 53, targetPort: 53 };

let beside: BesideIstiod;

before(async () => {
  beside = await startBesideIstiod(async (admin) => {
    await createMeshNamespaces(admin);
    await createObjects(admin, MESH);
  });
});
after(async () => {
  await beside?.stop();
});

function compared(intended: readonly Intended[] = INTENDED) {
  const { theirs, ours } = beside;
  const found = differences(plainMesh(theirs.store.current), plainMesh(ours.current));
  return unexplained(found, intended);
}

/** Both follow the API server in their own time. */
async function settled(): Promise<void> {
  const { theirs } = beside;
  const surprises = (): readonly string[] =>
    theirs.store.incomplete === undefined ? compared().surprises : ['not complete'];
  await theirs
    .until('the same mesh', () => surprises().length === 0, SETTLED_MS)
    .catch(() => {
      assert.deepEqual(surprises(), []);
    });
}

test('what istiod says of the mesh is what podwire control says of it', async () => {
  await settled();
  assert.deepEqual(compared().stale, []);
  const { theirs } = beside;
  const { workloads, services, authorizations } = theirs.store.current;
  assert.ok(workloads.size > 12 && services.size > 12 && authorizations.size > 12);
  const { servers, types } = theirs.client.status();
  assert.equal(servers[0]?.protocol, 'delta');
  const refused = types.flatMap((type) => type.refused);
  assert.deepEqual(refused, [], 'nothing istiod sends is refused');
});

test('a comparison that could not fail would be no test', () => {
  assert.ok(compared([]).surprises.length > INTENDED.length);
  const { stale } = compared([...INTENDED, { path: /^never$/, why: 'for nothing' }]);
  assert.deepEqual(stale, ['no difference at /^never$/ (for nothing)']);
});

test('after every change both say the same again', async (t) => {
  const { admin, theirs, ours } = beside;
  const shop = '/api/v1/namespaces/shop';
  const security = '/apis/security.istio.io/v1/namespaces';
  const changes: Readonly<Record<string, () => Promise<unknown>>> = {
    'a pod gets ready': () =>
      admin.call(
        `${shop}/pods/web-not-ready/status`,
        merge({ status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
      ),
    'labels move a pod into a Service and under policies': () =>
      admin.call(`${shop}/pods/named-by-label`, merge({ metadata: { labels: { app: 'db' } } })),
    'a Service gets another port': () =>
      admin.call(`${shop}/services/headless`, merge({ spec: { ports: [{ port: 5433 }] } })),
    'a node moves': () =>
      admin.call(
        '/api/v1/nodes/n3',
        merge({ metadata: { labels: { 'topology.kubernetes.io/region': 'south' } } }),
      ),
    'a policy changes': () =>
      admin.call(
        `${security}/shop/authorizationpolicies/selected`,
        merge({ spec: { action: 'ALLOW' } }),
      ),
    'a policy selects others': () =>
      admin.call(
        `${security}/shop/authorizationpolicies/accounts`,
        merge({ spec: { selector: { matchLabels: { app: 'db' } } } }),
      ),
    'a policy goes': () =>
      remove(admin, `${security}/istio-system/authorizationpolicies/mesh-wide`),
    'a pod goes': () => remove(admin, `${shop}/pods/db-0`),
    'a Service goes': () => remove(admin, `${shop}/services/same-node`),
  };
  for (const [what, change] of Object.entries(changes)) {
    await t.test(what, async () => {
      const [istiods, own] = [theirs.store.current.version, ours.current.version];
      await change();
      await theirs.until(
        'both have heard',
        () => theirs.store.current.version > istiods && ours.current.version > own,
      );
      await settled();
    });
  }
});
