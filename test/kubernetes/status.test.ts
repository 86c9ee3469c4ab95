/**
 * Conditions on the resources of a real API server, and who may write them.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlCore } from '../../src/control/core.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import { KubernetesSource } from '../../src/control/sources/kubernetes/source.ts';
import { LeaderElection } from '../../src/control/status/leader.ts';
import { StatusPublisher } from '../../src/control/status/publisher.ts';
import type { StatusReport } from '../../src/control/status/report.ts';
import { StatusWriter } from '../../src/control/status/writer.ts';
import { translateOptions } from '../../src/control/translate/options.ts';
import type { Finding } from '../../src/model/finding.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { FlakyLink } from './flaky-link.ts';
import { create, createNamespace, installKind, merge } from './objects.ts';
import { QUICK, silentLog } from './recorder.ts';

const TIMING = { leaseMs: 2000, renewMs: 1200, retryMs: 150 };
const ISTIO = '/apis/networking.istio.io/v1/namespaces/shop/virtualservices';

let kubernetes: Kubernetes;
let admin: KubernetesClient;

before(async () => {
  kubernetes = await startKubernetes();
  admin = kubernetes.admin;
  await createNamespace(admin, 'shop');
  await createNamespace(admin, 'podwire');
  await installKind(admin, 'networking.istio.io', 'v1', 'VirtualService', 'virtualservices');
  await installKind(
    admin,
    'security.istio.io',
    'v1',
    'AuthorizationPolicy',
    'authorizationpolicies',
  );
});
after(() => kubernetes.stop());

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 15_000; performance.now() < deadline; await sleep(30)) {
    if (await condition()) return;
  }
  assert.fail(`not reached: ${what}`);
}

function finding(code: Finding['code'], severity: Finding['severity'], message: string): Finding {
  return { code, severity, file: '', resource: '', path: 'spec', message, fix: 'mend it' };
}

const say = (...findings: Finding[]): StatusReport => ({ findings, verdict: undefined });

interface Status {
  metadata: { resourceVersion: string; generation: number };
  status?: {
    conditions?: {
      type: string;
      status: string;
      reason: string;
      lastTransitionTime: string;
      message: string;
      observedGeneration?: number;
    }[];
  };
}

const read = async (path: string): Promise<Status> => (await admin.call(path)) as Status;

/** type, status and reason of each */
const conditions = async (path: string): Promise<string[]> =>
  ((await read(path)).status?.conditions ?? []).map(
    ({ type, status, reason }) => `${type} ${status} ${reason}`,
  );

function writer(t: TestContext, leader = { leading: true }): StatusWriter {
  const one = new StatusWriter({
    client: admin,
    cluster: 'east',
    leader,
    log: silentLog,
    writesPerSecond: 100,
    ownership: { ownsClass: () => false, ownsParent: () => false },
  });
  t.after(() => one.close());
  one.start();
  return one;
}

function candidate(t: TestContext, identity: string, client: KubernetesClient, name: string) {
  const changes: boolean[] = [];
  const election = new LeaderElection({
    client,
    namespace: 'podwire',
    name,
    identity,
    log: silentLog,
    timing: TIMING,
    onChange: (leading) => changes.push(leading),
  });
  t.after(() => election.close());
  election.start();
  return { election, changes };
}

test('one of two leads; the other takes over at once when it leaves', async (t) => {
  const a = candidate(t, 'a', admin, 'leave');
  await until('a leads', () => a.election.leading);
  const b = candidate(t, 'b', admin, 'leave');
  await sleep(TIMING.leaseMs * 1.5);
  assert.deepEqual([a.election.leading, b.election.leading], [true, false]);
  const leftMs = performance.now();
  await a.election.close();
  await until('b leads', () => b.election.leading);
  assert.ok(performance.now() - leftMs < TIMING.leaseMs, 'need not wait for the end of the lease');
  assert.deepEqual([a.changes, b.changes], [[true, false], [true]]);
});

test('a leader that is cut off stops before another starts', async (t) => {
  const link = new FlakyLink(kubernetes.apiPort);
  await link.open();
  t.after(() => link.close());
  const far = await loadClient({ kubeconfig: kubernetes.kubeconfigFor(link.url) });
  t.after(() => far.close());
  const a = candidate(t, 'a', far, 'cut');
  await until('a leads', () => a.election.leading);
  const b = candidate(t, 'b', admin, 'cut');
  await sleep(300);
  link.cut();
  let both = false;
  await until('b leads', () => {
    both ||= a.election.leading && b.election.leading;
    return b.election.leading;
  });
  assert.equal(both, false, 'there were never two');
  assert.equal(a.election.leading, false);
  link.mend();
  await sleep(1000);
  assert.equal(a.election.leading, false, 'it does not push in again');
});

test('Istio: Reconciled, written once, with the generation', async (t) => {
  await create(admin, ISTIO, virtualService('one'));
  const path = `${ISTIO}/one`;
  const one = writer(t);
  one.writeStatus('east/VirtualService/shop/one', say());
  await until('written', async () => (await conditions(path)).length > 0);
  assert.deepEqual(await conditions(path), ['Reconciled True Reconciled']);
  const first = await read(path);
  assert.equal(first.status?.conditions?.[0]?.observedGeneration, 1);

  one.touch('east/VirtualService/shop/one');
  one.writeStatus('east/VirtualService/shop/one', say());
  await sleep(300);
  assert.equal((await read(path)).metadata.resourceVersion, first.metadata.resourceVersion);
  assert.equal(one.writes, 1);

  one.writeStatus('east/VirtualService/shop/one', say(finding('FIELD_INVALID', 'error', 'is odd')));
  await until('invalid', async () => (await conditions(path))[0] === 'Reconciled False Invalid');
  assert.match(
    (await read(path)).status?.conditions?.[0]?.message ?? '',
    /FIELD_INVALID spec: is odd/,
  );
  one.writeStatus(
    'east/VirtualService/shop/one',
    say(finding('NOT_SUPPORTED', 'warning', 'is new')),
  );
  await until(
    'a warning is no error',
    async () => (await conditions(path))[0] === 'Reconciled True Reconciled',
  );
});

test('conditions of others stay', async (t) => {
  await create(admin, ISTIO, virtualService('shared'));
  const path = `${ISTIO}/shared`;
  const foreign = (status: string) => ({
    type: 'Distributed',
    status,
    reason: 'Theirs',
    message: '',
    lastTransitionTime: '2026-01-01T00:00:00Z',
  });
  await admin.call(`${path}/status`, merge({ status: { conditions: [foreign('True')] } }));
  const one = writer(t);
  one.writeStatus('east/VirtualService/shop/shared', say());
  await until('both', async () => (await conditions(path)).length === 2);
  assert.deepEqual(await conditions(path), [
    'Distributed True Theirs',
    'Reconciled True Reconciled',
  ]);
});

test('who does not lead does not write, and writes all when he does', async (t) => {
  await create(admin, ISTIO, virtualService('led'));
  const leader = { leading: false };
  const one = writer(t, leader);
  one.writeStatus('east/VirtualService/shop/led', say());
  one.writeStatus('west/VirtualService/shop/led', say());
  one.writeStatus('east/Pod/shop/led', say());
  await sleep(500);
  assert.deepEqual(await conditions(`${ISTIO}/led`), []);
  leader.leading = true;
  await until('written', async () => (await conditions(`${ISTIO}/led`)).length === 1);
  assert.equal(one.writes, 1);
});

test('from the object through control to its status, and no loop', async (t) => {
  const one = writer(t);
  const source = new KubernetesSource({
    client: await loadClient({ kubeconfig: kubernetes.kubeconfig }),
    cluster: 'east',
    role: 'primary',
    rootNamespace: 'istio-system',
    log: silentLog,
    timing: QUICK,
  });
  const publisher = new StatusPublisher(one, () => core.reports());
  const core: ControlCore = new ControlCore({
    sources: [source],
    translate: translateOptions({ clusterId: 'east', trustDomain: 'cluster.local' }),
    log: silentLog,
    onUpdate: () => {},
    onOrigins: (origins) => publisher.changed(origins),
  });
  t.after(() => core.close());
  t.after(() => publisher.close());
  await core.start();
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
  await create(admin, path, {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'odd' },
    spec: { action: 'PERHAPS' },
  });
  await until(
    'refused',
    async () => (await conditions(`${path}/odd`))[0] === 'Reconciled False Invalid',
  );
  await admin.call(`${path}/odd`, merge({ spec: { action: 'DENY', rules: [{}] } }));
  await until(
    'mended',
    async () => (await conditions(`${path}/odd`))[0] === 'Reconciled True Reconciled',
  );
  const { writes } = one;
  await sleep(1500);
  assert.equal(one.writes, writes, 'its own writes bring no more');
});

function virtualService(name: string) {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name },
    spec: { hosts: ['web'] },
  };
}
