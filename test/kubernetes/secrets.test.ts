/**
 * Secrets of gateways, read from a real API server by name: rights, rotation, deletion, and who gets them.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { loadClient } from '../../src/control/kubernetes/kubeconfig.ts';
import type { SecretResource } from '../../src/model/resource/core.ts';
import { selfSigned, type SelfSigned } from '../support/certificate.ts';
import { startControl, type ControlUnderTest } from '../support/control.ts';
import { ISSUER, startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { RawStream, until } from '../support/xds-server.ts';
import {
  create,
  createNamespace,
  installKind,
  merge,
  remove,
  runPod,
  type Created,
} from './objects.ts';
import { follow, type Recorder } from './recorder.ts';

const NAMESPACES = ['podwire-system', 'edge', 'shop', 'bank'];
const CERT = 'kubernetes://edge/cert';
const pairs = [selfSigned(), selfSigned(), selfSigned()] as const;

let kubernetes: Kubernetes;
let folder = '';
const agents: Created[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'podwire-secrets-'));
  kubernetes = await startKubernetes();
  const { admin } = kubernetes;
  for (const name of NAMESPACES) await createNamespace(admin, name);
  await installKind(admin, 'networking.istio.io', 'v1', 'Gateway', 'gateways');
  for (const name of ['podwire', 'reader']) {
    await create(admin, '/api/v1/namespaces/podwire-system/serviceaccounts', {
      metadata: { name },
    });
  }
  for (const [index, node] of ['n1', 'n2'].entries()) {
    const options = { serviceAccount: 'podwire', node };
    const ip = `10.1.0.${index + 1}`;
    agents.push(await runPod(admin, 'podwire-system', `agent-${node}`, ip, options));
  }
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
  await kubernetes.stop();
});

const secretsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/secrets`;

function data({ cert, key }: Partial<SelfSigned>) {
  return { 'tls.crt': btoa(cert ?? ''), 'tls.key': btoa(key ?? '') };
}

async function createSecret(path: string, pair: Partial<SelfSigned>): Promise<void> {
  const [namespace = '', name = ''] = path.split('/');
  await create(kubernetes.admin, secretsOf(namespace), {
    metadata: { name },
    type: 'kubernetes.io/tls',
    data: data(pair),
  });
}

async function rotate(path: string, pair: Partial<SelfSigned>): Promise<void> {
  const [namespace = '', name = ''] = path.split('/');
  await kubernetes.admin.call(`${secretsOf(namespace)}/${name}`, merge({ data: data(pair) }));
}

const removeSecret = (path: string): Promise<void> => {
  const [namespace = '', name = ''] = path.split('/');
  return remove(kubernetes.admin, `${secretsOf(namespace)}/${name}`);
};

/** Of the Secret as it is in force. */
function held(recorder: Recorder, path: string): SecretResource | undefined {
  const resource = recorder.resource(`east/Secret/${path}`);
  return resource?.kind === 'Secret' ? resource : undefined;
}

test('only what is named is read; it is followed, and given up when nobody names it', async (t) => {
  await createSecret('edge/named', pairs[0]);
  await createSecret('edge/other', pairs[1]);
  const { recorder, source } = await follow(t, await loadClient(kubernetes));
  assert.deepEqual(recorder.under('east/Secret/'), []);
  await source.followSecrets(new Set(['edge/named', 'edge/none', 'edge/named-cacert']));
  assert.deepEqual(recorder.under('east/Secret/'), ['edge/named'], 'told before it resolves');
  assert.equal(held(recorder, 'edge/named')?.privateKey, pairs[0].key);

  await rotate('edge/named', pairs[1]);
  await recorder.until(
    'rotated',
    () => held(recorder, 'edge/named')?.certificate === pairs[1].cert,
  );
  await rotate('edge/named', { cert: pairs[2].cert, key: pairs[0].key });
  await recorder.until('a bad rotation', () => held(recorder, 'edge/named')?.problem !== undefined);
  assert.equal(held(recorder, 'edge/named')?.certificate, pairs[1].cert, 'the good one is kept');
  await rotate('edge/named', pairs[2]);
  await recorder.until('mended', () => held(recorder, 'edge/named')?.problem === undefined);
  assert.equal(held(recorder, 'edge/named')?.certificate, pairs[2].cert);
  await createSecret('edge/none', pairs[0]);
  await recorder.until('a late one', () => held(recorder, 'edge/none') !== undefined);
  await removeSecret('edge/named');
  await recorder.until('gone', () => held(recorder, 'edge/named') === undefined);

  await source.followSecrets(new Set(['edge/other']));
  assert.deepEqual(recorder.under('east/Secret/'), ['edge/other']);
  for (const name of ['none', 'other']) await removeSecret(`edge/${name}`);
});

test('the right to read it by its name is enough, and without it that is said', async (t) => {
  const { admin } = kubernetes;
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const rules = [
    {
      apiGroups: [''],
      resources: ['secrets'],
      resourceNames: ['open'],
      verbs: ['get', 'list', 'watch'],
    },
  ];
  await create(admin, `${rbac}/namespaces/edge/roles`, { metadata: { name: 'certs' }, rules });
  await create(admin, `${rbac}/namespaces/edge/rolebindings`, {
    metadata: { name: 'certs' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'certs' },
    subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'podwire-system' }],
  });
  await createSecret('edge/open', pairs[0]);
  await createSecret('edge/closed', pairs[1]);
  const token = await kubernetes.createToken('podwire-system', 'reader', { audience: ISSUER });
  const kubeconfig = kubernetes.kubeconfigWithToken(token);
  const { recorder, source } = await follow(t, await loadClient({ kubeconfig }), {
    timing: { startMs: 3000 },
  });
  await source.followSecrets(new Set(['edge/open', 'edge/closed']));
  await recorder.until('open', () => held(recorder, 'edge/open')?.certificate === pairs[0].cert);
  await rotate('edge/open', pairs[1]);
  await recorder.until('watched', () => held(recorder, 'edge/open')?.certificate === pairs[1].cert);
  const closed = recorder.origins.get('east/Secret/edge/closed');
  assert.deepEqual(closed?.resources, []);
  assert.deepEqual(
    closed?.findings.map(({ code }) => code),
    ['KIND_FORBIDDEN'],
  );
  for (const name of ['open', 'closed']) await removeSecret(`edge/${name}`);
});

test('a watch that is lost loses no rotation', async (t) => {
  await createSecret('edge/cert', pairs[0]);
  const { recorder, source } = await follow(t, await loadClient(kubernetes));
  await source.followSecrets(new Set(['edge/cert']));
  await kubernetes.signal('kube-apiserver', 'SIGKILL');
  await kubernetes.start('kube-apiserver');
  await rotate('edge/cert', pairs[1]);
  await recorder.until('rotated', () => held(recorder, 'edge/cert')?.certificate === pairs[1].cert);
  await removeSecret('edge/cert');
  await recorder.until('gone', () => held(recorder, 'edge/cert') === undefined);
});

async function agentOf(t: TestContext, control: ControlUnderTest, index: number) {
  const address = await control.address();
  const pod = agents[index]!.metadata;
  const bearer = await kubernetes.createToken('podwire-system', 'podwire', {
    audience: 'istio-ca',
    boundPod: { name: pod.name, uid: pod.uid },
  });
  const answer = await kubernetes.admin.call(`${secretsOf('podwire-system')}/podwire-ca`);
  const { data: ca } = answer as { data: Record<string, string> };
  const tls = credentials.createSsl(Buffer.from(ca['root-cert.pem'] ?? '', 'base64'));
  const stream = new RawStream(address, { tls, headers: { authorization: `Bearer ${bearer}` } });
  t.after(() => stream.close());
  return stream;
}

/** What a node was told last of the Secret: its certificate, "removed", or nothing. */
function told(stream: RawStream): string {
  let last = '';
  for (const { names, removed, contents } of stream.of('secrets')) {
    if (removed.includes(CERT)) last = 'removed';
    const index = names.indexOf(CERT);
    if (index < 0) continue;
    const bytes = Buffer.from(contents[index]!);
    last = String(pairs.findIndex(({ cert, key }) => bytes.includes(cert) && bytes.includes(key)));
  }
  return last;
}

test('the node of the gateway’s pod gets it, live, and no other node by any name', async (t) => {
  const { admin } = kubernetes;
  const labels = { istio: 'gateway' };
  await runPod(admin, 'edge', 'gw', '10.1.2.1', { labels, node: 'n1' });
  await runPod(admin, 'shop', 'trap', '10.1.2.2', { labels, node: 'n2' });
  await createSecret('edge/cert', pairs[0]);
  await createSecret('bank/cert', pairs[2]);
  const tls = { mode: 'SIMPLE', credentialName: 'cert' };
  const port = { number: 443, name: 'https', protocol: 'HTTPS' };
  const gateways = '/apis/networking.istio.io/v1/namespaces';
  await create(admin, `${gateways}/edge/gateways`, {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'main' },
    spec: { selector: labels, servers: [{ port, hosts: ['*'], tls }] },
  });
  await create(admin, `${gateways}/shop/gateways`, {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'evil' },
    spec: {
      selector: { istio: 'gateway' },
      servers: [{ port, hosts: ['*'], tls: { ...tls, credentialName: 'kubernetes://bank/cert' } }],
    },
  });
  const args = ['--kubernetes', '--kubeconfig', kubernetes.kubeconfig, '--drain', '1'];
  const control = startControl(t, folder, args);
  const [one, two] = [await agentOf(t, control, 0), await agentOf(t, control, 1)];
  const names = [CERT, 'kubernetes://bank/cert', 'kubernetes://podwire-system/podwire-ca'];
  for (const stream of [one, two]) {
    stream.subscribe('secrets', { resource_names_subscribe: names });
    stream.subscribe('listeners', { resource_names_subscribe: ['*'] });
  }
  await one.until('the first answer has it', () => one.of('secrets').length > 0);
  assert.equal(told(one), '0');

  await rotate('edge/cert', pairs[1]);
  await one.until('the rotation', () => told(one) === '1');
  await rotate('edge/cert', { cert: pairs[2].cert, key: pairs[0].key });
  const findings = async () =>
    (
      await control.get<{ code: string; resource: string; path: string; message: string }[]>(
        '/v1/findings',
      )
    ).filter(({ resource }) => resource === 'Gateway edge/main');
  const problem = async (code: string): Promise<boolean> => {
    const found = (await findings()).find((finding) => finding.code === code);
    return found?.path === 'spec.servers[0].tls.credentialName';
  };
  await until('a finding about the bad rotation', () => problem('SECRET_INVALID'));
  assert.equal(told(one), '1', 'the good one stays');
  await removeSecret('edge/cert');
  await one.until('removed', () => told(one) === 'removed');
  await until('a finding about the missing one', () => problem('SECRET_UNKNOWN'));
  await createSecret('edge/cert', pairs[0]);
  await one.until('back', () => told(one) === '0');
  await until('no finding', async () =>
    (await findings()).every(({ code }) => !code.startsWith('SECRET')),
  );

  for (const [stream, allowed] of [
    [one, [CERT]],
    [two, []],
  ] as const) {
    const got = new Set(stream.of('secrets').flatMap((response) => response.names));
    assert.deepEqual([...got], allowed);
  }
  const dumps = await Promise.all(
    [
      '/v1/findings',
      '/v1/status',
      '/v1/nodes',
      '/debug/config_dump?node=n1',
      '/debug/config_dump',
    ].map(async (path) => JSON.stringify(await control.get(path))),
  );
  assert.ok(dumps[3]?.includes(CERT), 'named');
  const shown = [...dumps, control.log].join('\n');
  for (const { key } of pairs) {
    for (const line of key.split('\n').filter((text) => text.length > 40)) {
      assert.ok(!shown.includes(line) && !shown.includes(btoa(line).slice(0, 40)));
    }
    assert.ok(!shown.includes(btoa(key).slice(0, 60)));
  }
});
