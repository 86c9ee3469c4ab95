/**
 * Certificates of a node's pods from the real istiod, and from podwire control in a cluster: by the token of the agent's own
 * pod, for the accounts that have a pod on its node, and for no others.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  shakeHands,
  startCertificateNode,
  type CertificateNode,
  type CertificateNodeSetup,
} from '../support/certificate-node.ts';
import { startControl } from '../support/control.ts';
import { installIstioKinds, startIstiod, type Istiod } from '../support/istiod.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { until } from '../support/xds-server.ts';
import { create, createNamespace, remove, runPod, type Created } from './objects.ts';

const idOf = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;
const [CART, WEB, FAR] = [idOf('cart'), idOf('web'), idOf('far')] as const;

let kubernetes: Kubernetes;
let istiod: Istiod;
let folder = '';
let agent: Created;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-certificates-'));
  kubernetes = await startKubernetes();
  await installIstioKinds(kubernetes);
  istiod = await startIstiod(kubernetes);
  const { admin } = kubernetes;
  for (const name of ['shop', 'podwire-system']) await createNamespace(admin, name);
  await account('podwire-system', 'podwire');
  agent = await runPod(admin, 'podwire-system', 'agent', '10.1.0.1', {
    serviceAccount: 'podwire',
    node: 'n1',
  });
  for (const [name, node, ip] of [
    ['cart', 'n1', '10.1.1.1'],
    ['web', 'n1', '10.1.1.2'],
    ['far', 'n2', '10.1.1.3'],
  ] as const) {
    await account('shop', name);
    await runPod(admin, 'shop', name, ip, { serviceAccount: name, node });
  }
});
after(async () => {
  await istiod?.stop();
  await kubernetes?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function account(namespace: string, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await create(kubernetes.admin, path, { metadata: { name } });
}

const held = (node: CertificateNode, spiffe: string): Promise<void> =>
  until(`a certificate for ${spiffe}`, () => node.manager.current(spiffe) !== undefined, 30_000);

/** The same of every CA. */
async function serves(t: TestContext, setup: CertificateNodeSetup): Promise<CertificateNode> {
  const node = await startCertificateNode(t, setup);
  for (const spiffe of [CART, WEB, FAR]) node.manager.want(spiffe, 'soon');
  await Promise.all([held(node, CART), held(node, WEB)]);
  const [cart, web] = [node.manager.current(CART)!, node.manager.current(WEB)!];
  assert.equal(new X509Certificate(cart.certificateChain).subjectAltName, `URI:${CART}`);
  assert.deepEqual(await shakeHands(cart, web), [`URI:${CART}`, `URI:${WEB}`]);
  const hours = (Date.parse(node.status(CART).notAfter) - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours < 24.1, `${hours} h`);
  await until('a refusal', () => node.status(FAR).failures > 0, 15_000);
  assert.match(node.status(FAR).error, /UNAUTHENTICATED/);
  assert.equal(node.manager.numbers().failed.invalid, 0);
  return node;
}

test('istiod', async (t) => {
  const node = await serves(t, {
    address: istiod.address,
    serverName: istiod.serverName,
    roots: await readFile(istiod.rootFile, 'utf8'),
    token: await readFile(istiod.tokenFile, 'utf8'),
  });
  assert.equal(
    node.manager.current(CART)?.roots.replaceAll('\n', ''),
    (await readFile(istiod.rootFile, 'utf8')).replaceAll('\n', ''),
  );
});

test('podwire control', async (t) => {
  const where = ['--kubernetes', '--kubeconfig', kubernetes.kubeconfig, '--drain', '1'];
  const control = startControl(t, folder, [...where, '--host', 'localhost']);
  const address = await control.address();
  const { data } = (await kubernetes.admin.call(
    '/api/v1/namespaces/podwire-system/secrets/podwire-ca',
  )) as { data: Record<string, string> };
  const node = await serves(t, {
    address: `localhost:${address.split(':').at(-1)}`,
    roots: Buffer.from(data['root-cert.pem'] ?? '', 'base64').toString(),
    token: await kubernetes.createToken('podwire-system', 'podwire', {
      audience: 'istio-ca',
      boundPod: { name: agent.metadata.name, uid: agent.metadata.uid },
    }),
  });
  // the pod moves to this node: the next try has it
  await remove(kubernetes.admin, '/api/v1/namespaces/shop/pods/far');
  await runPod(kubernetes.admin, 'shop', 'far-2', '10.1.1.4', {
    serviceAccount: 'far',
    node: 'n1',
  });
  await held(node, FAR);
  assert.equal(node.status(FAR).error, '');
});
