/**
 * What a large cluster costs, and that a bad link loses none of its changes.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { FlakyLink } from './flaky-link.ts';
import { createNamespace, merge, remove, runPod } from './objects.ts';
import { follow } from './recorder.ts';

const PODS = 10_000;
const PARALLEL = 40;
const LIST_CPU_MS = 2000;

let kubernetes: Kubernetes;
let admin: KubernetesClient;

before(async () => {
  kubernetes = await startKubernetes();
  admin = kubernetes.admin;
  await createNamespace(admin, 'shop');
});
after(() => kubernetes.stop());

test('nothing is lost through a bad link', async (t) => {
  const link = new FlakyLink(kubernetes.apiPort);
  await link.open();
  t.after(() => link.close());
  const client = await loadClient({ kubeconfig: kubernetes.kubeconfigFor(link.url) });
  const { recorder } = await follow(t, client, { timing: { silenceMs: 700, pageSize: 7 } });
  /** name → value of its label */
  const wanted = new Map<string, string>();
  const trouble = async (): Promise<void> => {
    for (let i = 0; i < 12; i++) {
      await sleep(150 + Math.random() * 300);
      if (i % 3 === 2) {
        link.silence();
      } else {
        link.cut();
        await sleep(Math.random() * 200);
        if (i % 4 === 0) await kubernetes.compact();
        link.mend();
      }
    }
  };
  let over = false;
  const troubled = trouble().finally(() => (over = true));
  for (let i = 0; !over; i++) {
    const name = `p${Math.floor(Math.random() * 30)}`;
    const path = `/api/v1/namespaces/shop/pods/${name}`;
    if (!wanted.has(name)) {
      await runPod(admin, 'shop', name, `10.5.${i >> 8}.${i & 255}`, { labels: { turn: `${i}` } });
      wanted.set(name, `${i}`);
    } else if (Math.random() < 0.4) {
      await remove(admin, path);
      wanted.delete(name);
    } else {
      await admin.call(path, merge({ metadata: { labels: { turn: `${i}` } } }));
      wanted.set(name, `${i}`);
    }
    await sleep(5);
  }
  await troubled;
  const turn = (name: string) => recorder.resource(`east/Pod/shop/${name}`)?.labels.get('turn');
  await recorder.until('the same pods with the same labels', () => {
    const names = recorder.under('east/Pod/shop/');
    return names.length === wanted.size && names.every((name) => turn(name) === wanted.get(name));
  });
  await recorder.until('back', () => recorder.away === undefined);
  for (const name of wanted.keys()) await remove(admin, `/api/v1/namespaces/shop/pods/${name}`);
  await recorder.until('none', () => recorder.under('east/Pod/shop/').length === 0);
});

test(`the first list of ${PODS} pods takes less than ${LIST_CPU_MS} ms of CPU`, async (t) => {
  let next = 0;
  const make = async (): Promise<void> => {
    for (let i = next++; i < PODS; i = next++) {
      const ip = `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
      const labels = { app: `app-${i % 1000}`, version: 'v1' };
      await runPod(admin, 'shop', `web-${i}`, ip, { labels, node: `node-${i % 100}` });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, make));
  const client = await loadClient({ kubeconfig: kubernetes.kubeconfig });
  const before = process.cpuUsage();
  const { recorder } = await follow(t, client);
  const { user, system } = process.cpuUsage(before);
  assert.equal(recorder.under('east/Pod/shop/').length, PODS);
  t.diagnostic(`${Math.round((user + system) / 1000)} ms`);
  assert.ok((user + system) / 1000 < LIST_CPU_MS, `${(user + system) / 1000} ms`);
});
