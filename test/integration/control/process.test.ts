/**
 * podwire control as operators run it: machines join by token and read the mesh by certificate, over TLS.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { credentials, status, type ChannelCredentials } from '@grpc/grpc-js';
import { JoinRegistry } from '../../../src/control/auth/join-registry.ts';
import type { StreamStatus } from '../../../src/xds/server/status.ts';
import { newRequest, temporaryDirectory } from '../../support/certificates.ts';
import { startControl, type ControlUnderTest } from '../../support/control.ts';
import { RawStream, until } from '../../support/xds-server.ts';
import { CertificateClient } from './certification-fixture.ts';

const pod = (namespace: string, name: string, node: string, ip: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec:
  nodeName: ${node}
  containers: [{ name: main, image: 'example/main:1' }]
status: { podIPs: [{ ip: ${ip} }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: closed, namespace: ${namespace} }
spec: { action: DENY, rules: [{ from: [{ source: { namespaces: [evil] } }] }] }
---`;

interface Place {
  readonly folder: string;
  readonly config: string;
  readonly state: string;
  readonly args: readonly string[];
}

async function place(t: TestContext): Promise<Place> {
  const folder = await temporaryDirectory(t);
  const config = join(folder, 'config');
  const state = join(folder, 'state');
  await mkdir(config, { mode: 0o700 });
  await mkdir(state, { mode: 0o700 });
  const text = pod('shop', 'a', 'n1', '10.0.0.1') + pod('bank', 'b', 'n2', '10.0.0.2');
  await writeFile(join(config, 'mesh.yaml'), text, { mode: 0o600 });
  return {
    folder,
    config,
    state,
    args: ['--config', config, '--state-dir', state, '--drain', '1'],
  };
}

/** PEM of the roots, as an operator would copy it. */
async function rootsOf({ state }: Place): Promise<string> {
  const stored = JSON.parse(
    await readFile(join(state, 'ca', 'roots-00000001.json'), 'utf8'),
  ) as object;
  const found = /-----BEGIN CERTIFICATE-----[^"]+?-----END CERTIFICATE-----/.exec(
    JSON.stringify(stored),
  );
  return `${found?.[0].replaceAll('\\n', '\n') ?? ''}\n`;
}

/** Joins as a machine of that name. */
async function joinAs(
  at: Place,
  address: string,
  name: string,
): Promise<{ token: string; tls: ChannelCredentials }> {
  const registry = await JoinRegistry.open(join(at.state, 'join'));
  const token = await registry.create({ name, identities: [], ttlMs: 60_000 });
  const roots = await rootsOf(at);
  const client = new CertificateClient(address, roots);
  const request = await newRequest();
  const { chain, error } = await client.ask(request.pem, { token });
  client.close();
  assert.equal(error, undefined);
  const key = KeyObject.from(request.privateKey).export({ format: 'pem', type: 'pkcs8' });
  const tls = credentials.createSsl(
    Buffer.from(roots),
    Buffer.from(key),
    Buffer.from(chain.slice(0, -1).join('')),
  );
  return { token, tls };
}

function stream(
  t: TestContext,
  address: string,
  tls: ChannelCredentials,
  token?: string,
): RawStream {
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  const made = new RawStream(address, { tls, headers });
  t.after(() => made.close());
  return made;
}

const nodesOf = async (control: ControlUnderTest): Promise<StreamStatus[]> =>
  (await control.get<{ nodes: StreamStatus[] }>('/v1/nodes')).nodes;

test('two machines join, get their part of the mesh, and follow it; others get nothing', async (t) => {
  const at = await place(t);
  const control = startControl(t, at.folder, at.args);
  const address = await control.address();
  const [one, two] = [await joinAs(at, address, 'n1'), await joinAs(at, address, 'n2')];
  const [first, second] = [stream(t, address, one.tls), stream(t, address, two.tls)];
  for (const each of [first, second]) {
    for (const key of ['addresses', 'authorizations'] as const) {
      each.subscribe(key, { node: { metadata: { fields: { NODE_NAME: { stringValue: 'n1' } } } } });
    }
  }
  assert.equal((await first.response('addresses', 0)).names.length, 2);
  assert.deepEqual((await first.response('authorizations', 0)).names, ['shop/closed']);
  assert.deepEqual((await second.response('authorizations', 0)).names, ['bank/closed']);
  await writeFile(
    join(at.config, 'more.yaml'),
    pod('shop', 'c', 'n2', '10.0.0.3').split('---')[0]!,
    { mode: 0o600 },
  );
  assert.deepEqual((await first.response('addresses', 1)).names, ['Kubernetes//Pod/shop/c']);
  assert.deepEqual(
    (await second.response('authorizations', 1)).names,
    ['shop/closed'],
    'c runs on n2',
  );

  const tls = credentials.createSsl(Buffer.from(await rootsOf(at)));
  for (const [token, code] of [
    [undefined, status.UNAUTHENTICATED],
    ['nonsense', status.UNAUTHENTICATED],
    [one.token, status.PERMISSION_DENIED],
  ] as const) {
    const refused = stream(t, address, tls, token);
    refused.subscribe('addresses');
    await refused.until('refused', () => refused.ended !== undefined);
    assert.equal(refused.ended?.code, code, refused.ended?.details);
    assert.equal(refused.responses.length, 0);
  }
  const stranger = stream(t, address, credentials.createSsl());
  stranger.subscribe('addresses');
  await stranger.until('no trust', () => stranger.ended !== undefined);

  const nodes = await nodesOf(control);
  assert.deepEqual(
    nodes.map(({ node, identity }) => [node, identity]),
    ['n1', 'n2'].map((node) => [node, 'spiffe://cluster.local/ns/podwire-system/sa/podwire']),
  );
  assert.deepEqual(
    nodes[0]!.types.slice(0, 3).map(({ type, state, resources }) => [type, state, resources]),
    [
      ['addresses', 'synced', 3],
      ['authorizations', 'synced', 1],
      ['secrets', 'not-sent', 0],
    ],
  );
  const dump = await control.get<{ types: Record<string, { name: string }[]> }>(
    '/debug/config_dump?node=n1',
  );
  assert.deepEqual(
    dump.types['authorizations']?.map(({ name }) => name),
    ['shop/closed'],
  );
  assert.equal((await control.get<unknown[]>('/debug/syncz')).length, 2);
  const { metrics, ready } = await control.get<{ metrics: string; ready: boolean }>('/v1/status');
  assert.equal(ready, true);
  const page = await (await fetch(`http://${metrics}/metrics`)).text();
  assert.match(page, /podwire_control_streams\{protocol="delta"\} 2\n/);
  assert.match(page, /podwire_control_streams_refused_total\{reason="unauthenticated"\} 2\n/);
  assert.match(page, /podwire_control_streams_refused_total\{reason="denied"\} 1\n/);
  assert.match(page, /podwire_control_push_seconds_count\{type="addresses"\} [34]\n/);
  assert.match(page, /podwire_ca_certificates_issued_total\{kind="node"\} 2\n/);
  assert.equal((await fetch(`http://${metrics}/healthz/ready`)).status, 200);
});

test('at SIGTERM the agents are sent away without an error, and another replica goes on', async (t) => {
  const at = await place(t);
  const first = startControl(t, at.folder, at.args);
  const address = await first.address();
  const second = startControl(t, at.folder, at.args);
  const other = await second.address();
  const { tls } = await joinAs(at, address, 'n1');
  const before = stream(t, address, tls);
  before.subscribe('addresses');
  const { versions } = await before.response('addresses', 0);
  first.terminate();
  await before.until('the end', () => before.ended !== undefined);
  assert.equal(before.ended?.code, status.OK, before.ended?.details);
  assert.equal(await first.exited(), 0, first.log);

  const after = stream(t, other, tls);
  after.subscribe('addresses', { initial_resource_versions: Object.fromEntries(versions) });
  const { names, removed } = await after.response('addresses', 0);
  assert.deepEqual([names, removed], [[], []], 'the certificate counts there, and nothing is new');
  await until('one node', () => after.ended === undefined);
  assert.equal((await nodesOf(second)).length, 1);
});

test('a machine that is revoked loses its open stream', async (t) => {
  const at = await place(t);
  const control = startControl(t, at.folder, at.args);
  const address = await control.address();
  const { tls } = await joinAs(at, address, 'n1');
  const open = stream(t, address, tls);
  open.subscribe('addresses');
  await open.response('addresses', 0);
  await (await JoinRegistry.open(join(at.state, 'join'))).revoke('n1');
  await open.until('the end', () => open.ended !== undefined, 20_000);
  assert.equal(open.ended?.code, status.UNAUTHENTICATED);
});

test('a given certificate is served, and replaced only by one that fits its key', async (t) => {
  const at = await place(t);
  const [cert, key] = [join(at.folder, 'tls.pem'), join(at.folder, 'tls.key')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  const control = startControl(t, at.folder, [...at.args, '--tls-cert', cert, '--tls-key', key]);
  const address = (await control.address()).replace('127.0.0.1', 'localhost');
  const tls = credentials.createSsl(await readFile(cert));
  const nobody = stream(t, address, tls);
  nobody.subscribe('addresses');
  await nobody.until('refused', () => nobody.ended !== undefined);
  assert.equal(nobody.ended?.code, status.UNAUTHENTICATED, 'TLS was fine');
  const other = startControl(t, at.folder, [...at.args, '--tls-cert', cert, '--tls-key', cert]);
  assert.equal(await other.exited(), 2, other.log);
});

test('a unix socket in a folder of one’s own needs neither TLS nor token, and gets no part but all', async (t) => {
  const at = await place(t);
  const socket = join(at.folder, 'xds.sock');
  const control = startControl(t, at.folder, [
    ...at.args,
    '--listen',
    `unix:${socket}`,
    '--plaintext',
  ]);
  assert.equal(await control.address(), `unix:${socket}`);
  const local = stream(t, `unix:${socket}`, credentials.createInsecure());
  local.subscribe('authorizations');
  const { names } = await local.response('authorizations', 0);
  assert.deepEqual([...names].sort(), ['bank/closed', 'shop/closed']);
});

test('options that make no sense are refused, all at once', async (t) => {
  const folder = await temporaryDirectory(t);
  const control = startControl(t, folder, [
    '--listen',
    '0.0.0.0:15012',
    '--plaintext',
    '--agent',
    'nobody',
    '--ca-cert',
    'x',
    '--drain',
    '-1',
  ]);
  assert.equal(await control.exited(), 2);
  for (const part of [
    '--config is missing',
    '--plaintext is for this',
    "--agent cannot be 'nobody'",
    '--ca-cert is not',
    '--drain',
  ]) {
    assert.ok(control.log.includes(part), `${part}: ${control.log}`);
  }
});
