/**
 * The CA's roots in a Secret of a real API server: replicas that start at once agree, and none overwrites another.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OwnSigner } from '../../src/control/ca/own-signer.ts';
import { ROOT_SECRET, SecretRootStore } from '../../src/control/ca/secret-root-store.ts';
import { createLog } from '../../src/log.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { createNamespace } from './objects.ts';

const log = createLog({ level: 'silent', pretty: false });
let kubernetes: Kubernetes;

before(async () => {
  kubernetes = await startKubernetes();
});
after(() => kubernetes.stop());

async function storeIn(namespace: string): Promise<SecretRootStore> {
  await createNamespace(kubernetes.admin, namespace);
  return new SecretRootStore({ client: kubernetes.admin, namespace });
}

const start = (store: SecretRootStore): Promise<OwnSigner> =>
  OwnSigner.start({ store, trustDomain: 'td', longestLifeMs: 1000, log, intervalMs: 1 << 30 });

test('replicas that start at once have one root, and follow each other', async () => {
  const store = await storeIn('at-once');
  const replicas = await Promise.all([1, 2, 3, 4].map(() => start(store)));
  const [first, second] = replicas;
  assert.ok(first && second);
  assert.equal(new Set(replicas.map((each) => each.current().roots.join(''))).size, 1);
  await Promise.all(replicas.map((each) => each.rotate()));
  for (const each of replicas) await each.check();
  assert.equal(first.current().roots.length, 2);
  assert.equal(new Set(replicas.map((each) => each.current().roots.join(''))).size, 1);
  for (const each of replicas) await each.close();
});

test('only over the version that was read; a Secret that was removed comes back with the same root', async () => {
  const store = await storeIn('versions');
  const signer = await start(store);
  const stored = await store.load();
  assert.ok(stored);
  assert.equal(await store.save(stored.state, undefined), 'conflict');
  const next = await store.save({ ...stored.state, longestLifeMs: 2000 }, stored.version);
  assert.ok(next !== 'conflict' && next.version !== stored.version);
  assert.equal(await store.save(stored.state, stored.version), 'conflict');
  const path = `/api/v1/namespaces/versions/secrets/${ROOT_SECRET}`;
  await kubernetes.admin.call(path, { method: 'DELETE' });
  assert.equal(await store.save(stored.state, next.version), 'conflict');
  assert.equal(await store.load(), undefined);
  await signer.check();
  assert.equal((await store.load())?.state.active.certificate, stored.state.active.certificate);
  await signer.close();
});

test('a damaged Secret is an error, never a reason for a new root; an API server that is away is waited for', async () => {
  const store = await storeIn('damaged');
  const signer = await start(store);
  const roots = signer.current().roots;
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  await assert.rejects(signer.check());
  assert.equal(signer.current().roots, roots);
  await kubernetes.start('kube-apiserver');
  await signer.check();
  const path = `/api/v1/namespaces/damaged/secrets/${ROOT_SECRET}`;
  const secret = (await kubernetes.admin.call(path)) as { data: Record<string, string> };
  const body = { ...secret, data: { 'roots.json': Buffer.from('{}').toString('base64') } };
  await kubernetes.admin.call(path, { method: 'PUT', body });
  await assert.rejects(store.load(), { code: 'ERR_CONFIG' });
  await assert.rejects(start(store), { code: 'ERR_CONFIG' });
  await signer.close();
});
