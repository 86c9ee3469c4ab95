/**
 * podwire control on a real API server: agents by their pods' tokens, each with the part of its node.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, status } from '@grpc/grpc-js';
import { startControl, type ControlUnderTest } from '../support/control.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { RawStream, until } from '../support/xds-server.ts';
import { create, createNamespace, installKind, runPod, type Created } from './objects.ts';

let kubernetes: Kubernetes;
let folder = '';
let agents: Created[] = [];
let ordinary: Created;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-control-'));
  kubernetes = await startKubernetes();
  const { admin } = kubernetes;
  for (const name of ['podwire-system', 'shop', 'bank']) await createNamespace(admin, name);
  await installKind(
    admin,
    'security.istio.io',
    'v1',
    'AuthorizationPolicy',
    'authorizationpolicies',
  );
  for (const name of ['podwire', 'other']) {
    await create(admin, '/api/v1/namespaces/podwire-system/serviceaccounts', {
      metadata: { name },
    });
  }
  agents = [];
  for (const node of ['n1', 'n2']) {
    const options = { serviceAccount: 'podwire', node };
    agents.push(
      await runPod(
        admin,
        'podwire-system',
        `agent-${node}`,
        `10.1.0.${agents.length + 1}`,
        options,
      ),
    );
  }
  ordinary = await runPod(admin, 'podwire-system', 'ordinary', '10.1.0.9', {
    serviceAccount: 'other',
    node: 'n1',
  });
  await runPod(admin, 'shop', 'a', '10.1.1.1', { node: 'n1' });
  await runPod(admin, 'bank', 'b', '10.1.1.2', { node: 'n2' });
  for (const namespace of ['shop', 'bank']) {
    await create(
      admin,
      `/apis/security.istio.io/v1/namespaces/${namespace}/authorizationpolicies`,
      {
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'closed' },
        spec: { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['evil'] } }] }] },
      },
    );
  }
});
after(async () => {
  await kubernetes.stop();
  await rm(folder, { recursive: true, force: true });
});

function control(t: TestContext): ControlUnderTest {
  return startControl(t, folder, [
    '--kubernetes',
    '--kubeconfig',
    kubernetes.kubeconfig,
    '--drain',
    '1',
  ]);
}

const token = (pod: Created, account = 'podwire'): Promise<string> =>
  kubernetes.createToken('podwire-system', account, {
    audience: 'istio-ca',
    boundPod: { name: pod.metadata.name, uid: pod.metadata.uid },
  });

async function roots(): Promise<string> {
  const path = '/api/v1/namespaces/podwire-system/secrets/podwire-ca';
  const { data } = (await kubernetes.admin.call(path)) as { data: Record<string, string> };
  return Buffer.from(data['root-cert.pem'] ?? '', 'base64').toString();
}

async function open(t: TestContext, address: string, bearer: string): Promise<RawStream> {
  const tls = credentials.createSsl(Buffer.from(await roots()));
  const stream = new RawStream(address, { tls, headers: { authorization: `Bearer ${bearer}` } });
  t.after(() => stream.close());
  return stream;
}

test('agents are known by their tokens, and get what their nodes need', async (t) => {
  const process = control(t);
  const address = await process.address();
  const streams: RawStream[] = [];
  for (const agent of agents) streams.push(await open(t, address, await token(agent)));
  const forged = {
    fields: { NODE_NAME: { stringValue: 'n1' }, NAMESPACE: { stringValue: 'shop' } },
  };
  for (const stream of streams) {
    stream.subscribe('addresses', { node: { metadata: forged } });
    stream.subscribe('authorizations');
  }
  const [one, two] = streams as [RawStream, RawStream];
  assert.ok((await one.response('addresses', 0)).names.includes('Kubernetes//Pod/bank/b'));
  assert.deepEqual((await one.response('authorizations', 0)).names, ['shop/closed']);
  assert.deepEqual((await two.response('authorizations', 0)).names, ['bank/closed']);

  const stranger = await open(t, address, await token(ordinary, 'other'));
  const wrong = await open(t, address, `${await token(agents[0]!)}x`);
  for (const stream of [stranger, wrong]) {
    stream.subscribe('addresses');
    await stream.until('refused', () => stream.ended !== undefined);
    assert.equal(stream.responses.length, 0);
  }
  assert.equal(stranger.ended?.code, status.PERMISSION_DENIED, 'an ordinary pod');
  assert.equal(wrong.ended?.code, status.UNAUTHENTICATED);

  await runPod(kubernetes.admin, 'bank', 'late', '10.1.1.3', { node: 'n1' });
  await one.until('the new pod', () =>
    one.of('addresses').some(({ names }) => names.includes('Kubernetes//Pod/bank/late')),
  );
  assert.deepEqual((await one.response('authorizations', 1)).names, ['bank/closed']);
});

test('while the cluster is away at the start nothing is served, and then everything', async (t) => {
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  const process = control(t);
  await sleep(4000);
  assert.equal(process.exitCode, null, process.log);
  assert.ok(!process.log.includes('control serves'));
  await kubernetes.start('kube-apiserver');
  const stream = await open(t, await process.address(), await token(agents[0]!));
  stream.subscribe('addresses');
  const { names } = await stream.response('addresses', 0);
  assert.ok(names.includes('Kubernetes//Pod/shop/a') && names.includes('Kubernetes//Pod/bank/b'));
  await until('it lives', () => process.exitCode === null);
});
