/**
 * istiod and podwire's own control read the same labels istio.io/use-waypoint and the same Gateways, whose status says that they
 * are deployed: every Service and pod is behind the same waypoint.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { startBesideIstiod, type BesideIstiod } from './beside-istiod.ts';
import { create, createNamespace, merge, runPod } from './objects.ts';

const USE = 'istio.io/use-waypoint';
const USE_NAMESPACE = 'istio.io/use-waypoint-namespace';
const FOR = 'istio.io/waypoint-for';
const GATEWAYS = '/apis/gateway.networking.k8s.io/v1';
const SETTLED_MS = 15_000;
/** what namespaces, Services and pods are labelled with */
const LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  plain: {},
  gate: { [USE]: 'gate' },
  all: { [USE]: 'all' },
  workloads: { [USE]: 'workloads' },
  nothing: { [USE]: 'nothing' },
  none: { [USE]: 'none' },
  missing: { [USE]: 'missing' },
  open: { [USE]: 'open', [USE_NAMESPACE]: 'infra' },
  closed: { [USE]: 'closed', [USE_NAMESPACE]: 'infra' },
  selecting: { [USE]: 'selecting', [USE_NAMESPACE]: 'infra' },
};
const OWN: readonly [string, string][] = [
  ['gate', ''],
  ['all', 'all'],
  ['workloads', 'workload'],
  ['nothing', 'none'],
];
const NAMESPACES = ['plain', 'gate', 'all', 'open', 'closed', 'selecting', 'none'];

let beside: BesideIstiod;

async function gateway(
  admin: KubernetesClient,
  namespace: string,
  name: string,
  trafficFor: string,
  from: object,
): Promise<void> {
  await create(admin, `${GATEWAYS}/namespaces/${namespace}/gateways`, {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, labels: trafficFor ? { [FOR]: trafficFor } : {} },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [
        { name: 'mesh', port: 15008, protocol: 'HBONE', allowedRoutes: { namespaces: from } },
      ],
    },
  });
  const value = `${name}.${namespace}.svc.cluster.local`;
  await admin.call(
    `${GATEWAYS}/namespaces/${namespace}/gateways/${name}/status`,
    merge({ status: { addresses: [{ type: 'Hostname', value }] } }),
  );
}

async function makeObjects(admin: KubernetesClient): Promise<void> {
  await createNamespace(admin, 'infra');
  for (const [name, from] of [
    ['open', { from: 'All' }],
    ['closed', { from: 'Same' }],
    ['selecting', { from: 'Selector', selector: { matchLabels: { team: 'a' } } }],
  ] as const) {
    await gateway(admin, 'infra', name, 'all', from);
  }
  let number = 0;
  for (const namespace of NAMESPACES) {
    await createNamespace(admin, namespace, { ...LABELS[namespace], team: 'a' });
    for (const [name, trafficFor] of OWN) {
      await gateway(admin, namespace, name, trafficFor, { from: 'Same' });
    }
    for (const [name, labels] of Object.entries(LABELS)) {
      number++;
      await create(admin, `/api/v1/namespaces/${namespace}/services`, {
        metadata: { name, labels },
        spec: { selector: { app: name }, ports: [{ port: 80 }] },
      });
      await runPod(admin, namespace, `${name}-1`, `10.1.${number >> 8}.${number & 255}`, {
        labels: { app: name, ...labels },
      });
    }
    await runPod(admin, namespace, 'instance', `10.2.0.${number & 255}`, {
      labels: { 'gateway.networking.k8s.io/gateway-name': 'all' },
    });
  }
}
before(async () => {
  beside = await startBesideIstiod(makeObjects);
});
after(async () => {
  await beside?.stop();
});

/** By namespace/name of the Service or pod; only of what has one. */
function waypoints({ services, workloads }: Snapshot): Readonly<Record<string, string>> {
  const all = [
    ...[...services.values()].map(({ namespace, name, waypoint }) => [
      `service ${namespace}/${name}`,
      waypoint,
    ]),
    ...[...workloads.values()].map(({ namespace, name, waypoint }) => [
      `pod ${namespace}/${name}`,
      waypoint,
    ]),
  ] as const;
  const found = all.filter(([, waypoint]) => waypoint !== undefined);
  const texts = found.map(
    ([name, waypoint]) => [name as string, JSON.stringify(waypoint)] as const,
  );
  return Object.fromEntries(texts.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

test('everything is behind the waypoint that istiod says', async (t) => {
  const { theirs, ours } = beside;
  const same = (): boolean =>
    theirs.store.incomplete === undefined &&
    JSON.stringify(waypoints(theirs.store.current)) === JSON.stringify(waypoints(ours.current));
  await theirs
    .until('the same', () => same() && Object.keys(waypoints(ours.current)).length > 60, SETTLED_MS)
    .catch(() => {
      assert.deepEqual(waypoints(ours.current), waypoints(theirs.store.current));
      throw new Error('too few have one');
    });
  t.diagnostic(`${Object.keys(waypoints(ours.current)).length} are behind one`);
});
