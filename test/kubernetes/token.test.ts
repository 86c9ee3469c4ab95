/**
 * Who calls, by real tokens of a real API server: one that is right, and every way to be wrong.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { AuthenticationError } from '../../src/control/auth/caller.ts';
import { KubernetesTokenAuthenticator } from '../../src/control/auth/kubernetes-token.ts';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import { ISSUER, signToken, startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { create, createNamespace, merge, remove, runPod, type Created } from './objects.ts';

let kubernetes: Kubernetes;
let admin: KubernetesClient;
let agent: Created;
let clock = 0;

before(async () => {
  kubernetes = await startKubernetes();
  admin = kubernetes.admin;
  await createNamespace(admin, 'mesh');
  await account('podwire');
  agent = await runPod(admin, 'mesh', 'agent', '10.1.0.1', {
    serviceAccount: 'podwire',
    node: 'n1',
  });
});
after(() => kubernetes.stop());

async function account(name: string): Promise<void> {
  await create(admin, '/api/v1/namespaces/mesh/serviceaccounts', { metadata: { name } });
}

function authenticator(): KubernetesTokenAuthenticator {
  clock = Date.now();
  return new KubernetesTokenAuthenticator({
    client: admin,
    trustDomain: 'cluster.local',
    cluster: 'east',
    now: () => clock,
  });
}

const bound = (pod: Created) => ({ name: pod.metadata.name, uid: pod.metadata.uid });

async function refused(token: string | undefined, reason: RegExp, by = authenticator()) {
  await assert.rejects(by.authenticate({ token, certificate: undefined }), (error) => {
    assert.ok(error instanceof AuthenticationError, String(error));
    assert.match(error.message, reason);
    return true;
  });
}

/** The claims of a token the server would give, to be changed and signed again. */
async function claims(): Promise<Record<string, unknown>> {
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(agent) });
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<
    string,
    unknown
  >;
}

test('the token of a pod says who, which pod, and which node', async () => {
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(agent) });
  assert.deepEqual(await authenticator().authenticate({ token, certificate: undefined }), {
    identity: { trustDomain: 'cluster.local', namespace: 'mesh', serviceAccount: 'podwire' },
    pod: { namespace: 'mesh', ...bound(agent) },
    node: 'n1',
    credential: 'kubernetes-token',
    cluster: 'east',
  });
});

test('no token, and texts that are no token', async () => {
  await refused(undefined, /no token/);
  await refused('', /no token/);
  await refused('hello', /no JWT/);
  await refused('a.b.c', /no JWT/);
  await refused(`${'a'.repeat(20_000)}.b.c`, /no JWT/);
});

test('a token for another audience', async () => {
  for (const audience of ['vault', ISSUER]) {
    const token = await kubernetes.createToken('mesh', 'podwire', {
      audience,
      boundPod: bound(agent),
    });
    await refused(token, /refuses|not for/);
  }
});

test('a token that is bound to no pod', async () => {
  await refused(await kubernetes.createToken('mesh', 'podwire'), /not bound to a pod/);
});

test('a forged token: another key, changed claims, no signature', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const right = await claims();
  await refused(signToken(privateKey, right), /refuses/);
  const [head, , signature] = signToken(kubernetes.signingKey, right).split('.');
  const changed = { ...right, sub: 'system:serviceaccount:kube-system:admin' };
  const body = Buffer.from(JSON.stringify(changed)).toString('base64url');
  await refused(`${head}.${body}.${signature}`, /refuses/);
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
  await refused(`${none}.${body}.`, /refuses/);
});

test('the same claims signed by the cluster pass: the forgeries above fail for their forgery', async () => {
  const token = signToken(kubernetes.signingKey, await claims());
  assert.equal((await authenticator().authenticate({ token, certificate: undefined })).node, 'n1');
});

test('an expired token, also when the clock here is slow', async () => {
  const past = Math.floor(Date.now() / 1000) - 3600;
  const token = signToken(kubernetes.signingKey, {
    ...(await claims()),
    iat: past - 600,
    nbf: past - 600,
    exp: past,
  });
  await refused(token, /expired/);
  const slow = authenticator();
  clock = (past - 60) * 1000;
  await refused(token, /refuses/, slow);
});

test('the token of a deleted pod, and of one that was replaced under its name', async () => {
  const pod = await runPod(admin, 'mesh', 'brief', '10.1.0.2', {
    serviceAccount: 'podwire',
    node: 'n1',
  });
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(pod) });
  const one = authenticator();
  await one.authenticate({ token, certificate: undefined });
  await remove(admin, '/api/v1/namespaces/mesh/pods/brief');
  await refused(token, /does not exist|refuses/);
  await runPod(admin, 'mesh', 'brief', '10.1.0.3', { serviceAccount: 'podwire', node: 'n2' });
  await refused(token, /replaced|refuses/);
  // What was accepted is remembered for some seconds, and no longer.
  await one.authenticate({ token, certificate: undefined });
  clock += 10_001;
  await refused(token, /replaced|refuses/, one);
  await remove(admin, '/api/v1/namespaces/mesh/pods/brief');
});

test('a pod that is on no node yet is refused, and accepted soon after it is', async () => {
  const pod = await runPod(admin, 'mesh', 'waiting', '10.1.0.4', { serviceAccount: 'podwire' });
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(pod) });
  const one = authenticator();
  await refused(token, /on no node/, one);
  await create(admin, '/api/v1/namespaces/mesh/pods/waiting/binding', {
    metadata: { name: 'waiting' },
    target: { kind: 'Node', name: 'n3' },
  });
  await refused(token, /on no node/, one);
  clock += 1001;
  assert.equal((await one.authenticate({ token, certificate: undefined })).node, 'n3');
});

test('a pod that has ended is no caller', async () => {
  const pod = await runPod(admin, 'mesh', 'done', '10.1.0.5', {
    serviceAccount: 'podwire',
    node: 'n1',
  });
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(pod) });
  await admin.call(
    '/api/v1/namespaces/mesh/pods/done/status',
    merge({ status: { phase: 'Succeeded' } }),
  );
  await refused(token, /has ended/);
});

test('a user that is no service account', async () => {
  await refused('admin-of-this-test', /no JWT/);
});

test('a server that cannot be asked is no verdict', async () => {
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(agent) });
  const one = authenticator();
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  await refused(token, /cannot be asked/, one);
  await kubernetes.start('kube-apiserver');
  assert.equal((await one.authenticate({ token, certificate: undefined })).node, 'n1');
});

test('many at once ask once', async () => {
  const token = await kubernetes.createToken('mesh', 'podwire', { boundPod: bound(agent) });
  const one = authenticator();
  const before = await reviews();
  const ask = () => one.authenticate({ token, certificate: undefined });
  await Promise.all(Array.from({ length: 50 }, ask));
  assert.equal((await reviews()) - before, 1);
});

/** How many TokenReviews the server has answered. */
async function reviews(): Promise<number> {
  const text = (await admin.call('/metrics')) as string;
  const lines = text.matchAll(
    /^apiserver_request_total\{[^}]*resource="tokenreviews"[^}]*\} (\d+)/gm,
  );
  return [...lines].reduce((sum, [, count]) => sum + Number(count), 0);
}
