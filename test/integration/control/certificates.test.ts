/**
 * CreateCertificate over real gRPC and TLS: what is issued, as openssl and TLS read it, and one test per forgery.
 */
import assert from 'node:assert/strict';
import { KeyObject, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import type { webcrypto } from 'node:crypto';
import {
  newKeys,
  newRequest,
  openssl,
  opensslVerifies,
  temporaryDirectory,
  textOf,
} from '../../support/certificates.ts';
import { podCaller, startLab, TRUST_DOMAIN } from './certification-fixture.ts';

const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;
const ADMIN = `spiffe://${TRUST_DOMAIN}/ns/kube-system/sa/admin`;
const agentA = { token: 'agent-a', impersonate: CART };

const pemOf = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ format: 'pem', type: 'pkcs8' }).toString();

const sanOf = (pem: string | undefined): string | undefined =>
  new X509Certificate(pem ?? '').subjectAltName;

test('a leaf as ztunnel asks for it, read by openssl', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest({ uris: [CART] });
  const { chain, error } = await lab.client().ask(pem, { ...agentA, seconds: 86_400 });
  assert.equal(error, undefined);
  assert.equal(chain.length, 2);
  const [leaf = '', roots = ''] = chain;
  const text = await textOf(lab.dir, leaf);
  assert.match(text, /Subject: *\n/);
  assert.match(
    text,
    /X509v3 Subject Alternative Name: critical\s+URI:spiffe:[^,\n]*\/ns\/shop\/sa\/cart\n/,
  );
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/);
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature\n/);
  assert.match(
    text,
    /X509v3 Extended Key Usage: *\s+TLS Web Server Authentication, TLS Web Client Authentication\n/,
  );
  assert.match(text, /ASN1 OID: prime256v1/);
  const { serialNumber, validFrom, validTo } = new X509Certificate(leaf);
  assert.equal(serialNumber.length, 32);
  const age = Date.now() - Date.parse(validFrom);
  assert.ok(age > 60_000 && age < 200_000, `backdated by ${age} ms`);
  assert.ok(Math.abs(Date.parse(validTo) - Date.now() - 86_400_000) < 10_000);
  for (const purpose of ['sslserver', 'sslclient'] as const) {
    assert.equal(await opensslVerifies(lab.dir, [leaf], roots, purpose), true);
  }
});

test('two leaves shake hands by TLS 1.3, both ends verified', async (t) => {
  const lab = await startLab(t);
  const [a, b] = [await newRequest(), await newRequest()];
  const web = await lab.client().ask(b.pem, { token: 'agent-b', impersonate: WEB });
  const cart = await lab.client().ask(a.pem, agentA);
  const ends = [
    { key: pemOf(a.privateKey), cert: cart.chain[0], ca: cart.chain.at(-1) },
    { key: pemOf(b.privateKey), cert: web.chain[0], ca: web.chain.at(-1) },
  ] as const;
  const server = createServer({
    ...ends[1],
    requestCert: true,
    rejectUnauthorized: true,
  } as object);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const socket = connect({
    ...ends[0],
    port,
    host: '127.0.0.1',
    checkServerIdentity: () => undefined,
  } as object);
  t.after(() => socket.destroy());
  const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
  t.after(() => peer.destroy());
  assert.ok(peer.authorized);
  assert.equal(peer.getPeerCertificate().subjectaltname, `URI:${CART}`);
  assert.equal(socket.getPeerCertificate().subjectaltname, `URI:${WEB}`);
  assert.equal(socket.getProtocol(), 'TLSv1.3');
});

test('forgery: foreign SAN, second SAN, CA:TRUE, a subject: the request’s wishes are not in the leaf', async (t) => {
  const lab = await startLab(t);
  for (const wishes of [
    { uris: [ADMIN] },
    { uris: [CART, ADMIN] },
    { ca: true },
    { subject: 'CN=admin, OU=root, O=podwire' },
    { uris: [ADMIN], ca: true, subject: `CN=${ADMIN}` },
  ]) {
    const { pem } = await newRequest(wishes);
    const { chain, error } = await lab.client().ask(pem, agentA);
    assert.equal(error, undefined);
    assert.equal(sanOf(chain[0]), `URI:${CART}`);
    const text = await textOf(lab.dir, chain[0] ?? '');
    assert.match(text, /CA:FALSE/);
    assert.doesNotMatch(text, /admin|CA:TRUE|Certificate Sign/);
    assert.match(text, /Subject: *\n/);
  }
});

test('forgery: other node, whatever the metadata says', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest();
  for (const options of [
    { token: 'agent-b', impersonate: CART },
    { token: 'agent-b', impersonate: CART, metadata: { NODE_NAME: 'node-a', node: 'node-a' } },
    {
      token: 'agent-b',
      impersonate: CART,
      headers: { 'x-node': ['node-a'], clusterid: ['Kubernetes'] },
    },
    { token: 'agent-a', impersonate: ADMIN },
    { token: 'agent-a', impersonate: `${CART},URI:${ADMIN}` },
    { token: 'agent-a', impersonate: 'spiffe://other/ns/shop/sa/cart' },
  ]) {
    const { error } = await lab.client().ask(pem, options);
    assert.equal(error?.code, status.UNAUTHENTICATED);
    assert.equal(error.details, 'request impersonation authentication failure');
  }
  assert.ok(lab.lines.some((line) => line.includes('has no pod on node node-b')));
  assert.equal(lab.service.numbers().refused.denied, 6);
});

test('forgery: an ordinary pod’s token', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest({ uris: [CART] });
  for (const impersonate of [undefined, CART, WEB]) {
    const options = { token: 'pod-cart', ...(impersonate && { impersonate }) };
    assert.equal((await lab.client().ask(pem, options)).error?.code, status.UNAUTHENTICATED);
  }
  // where it is allowed: its own and no other
  const allowing = await startLab(t, { ownIdentity: true });
  const own = await allowing.client().ask(pem, { token: 'pod-cart' });
  assert.equal(sanOf(own.chain[0]), `URI:${CART}`);
  const other = await allowing.client().ask(pem, { token: 'pod-cart', impersonate: WEB });
  assert.equal(other.error?.code, status.UNAUTHENTICATED);
});

test('forgery: no token, an unknown one, and other schemes', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest();
  for (const options of [
    {},
    { token: 'unknown' },
    { headers: { authorization: ['Basic agent-a'] } },
    { headers: { authorization: ['Bearer'] } },
  ]) {
    const { error } = await lab.client().ask(pem, { impersonate: CART, ...options });
    assert.equal(error?.code, status.UNAUTHENTICATED, JSON.stringify(options));
    assert.equal(error.details, 'request authenticate failure');
  }
});

test('forgery: bad signature, giants, RSA of 1024 bits, wrong curve', async (t) => {
  const lab = await startLab(t);
  const [mine, other] = [await newKeys(), await newKeys()];
  const stolen = { publicKey: other.publicKey, privateKey: mine.privateKey };
  const rsa1024 = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const client = lab.client();
  for (const csr of [
    (await newRequest({ keys: stolen })).pem,
    (await newRequest({ algorithm: rsa1024 })).pem,
    (await newRequest({ algorithm: { name: 'ECDSA', namedCurve: 'P-384' } })).pem,
    'x'.repeat(3_000_000),
    '',
  ]) {
    assert.equal((await client.ask(csr, agentA)).error?.code, status.INVALID_ARGUMENT);
  }
  const giant = await client.ask('x'.repeat(5_000_000), agentA);
  assert.equal(giant.error?.code, status.RESOURCE_EXHAUSTED);
  // and goes on serving
  assert.equal((await client.ask((await newRequest()).pem, agentA)).error, undefined);
});

test('lives are capped; absurd ones are no error', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest();
  for (const [seconds, expected] of [
    [0, 86_400],
    [-5, 86_400],
    [600, 600],
    [315_360_000, 86_400],
    [Number.MAX_SAFE_INTEGER, 86_400],
  ] as const) {
    const { chain } = await lab.client().ask(pem, { ...agentA, seconds });
    const life = (Date.parse(new X509Certificate(chain[0] ?? '').validTo) - Date.now()) / 1000;
    assert.ok(Math.abs(life - expected) < 10, `${seconds}: ${life}`);
  }
});

test('RSA of 2048 bits, as sidecars use it', async (t) => {
  const lab = await startLab(t);
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  };
  const { chain } = await lab.client().ask((await newRequest({ algorithm })).pem, agentA);
  assert.equal(
    await opensslVerifies(lab.dir, chain.slice(0, 1), chain[1] ?? '', 'sslserver'),
    true,
  );
  assert.match(await textOf(lab.dir, chain[0] ?? ''), /Digital Signature, Key Encipherment/);
});

test('the agent’s own certificate, and another account as agent', async (t) => {
  const lab = await startLab(t);
  const { pem } = await newRequest();
  const own = await lab.client().ask(pem, { token: 'agent-a' });
  assert.equal(sanOf(own.chain[0]), `URI:spiffe://${TRUST_DOMAIN}/ns/podwire-system/sa/podwire`);
  const agents = [{ namespace: 'istio-system', serviceAccount: 'ztunnel' }];
  const ztunnel = await startLab(t, { agents });
  ztunnel.tokens.set('ztunnel', podCaller('istio-system/ztunnel', 'node-a'));
  const leaf = await ztunnel.client().ask(pem, { token: 'ztunnel', impersonate: CART });
  assert.equal(sanOf(leaf.chain[0]), `URI:${CART}`);
  const former = await ztunnel.client().ask(pem, agentA);
  assert.equal(former.error?.code, status.UNAUTHENTICATED);
});

test('an intermediate the operator gave: the chain is complete', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = (name: string): string => join(dir, name);
  await writeFile(
    path('ca.cnf'),
    'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n',
  );
  const rootArgs = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-384',
    '-nodes',
    '-days',
    '30',
  ];
  await openssl(
    'req',
    '-x509',
    ...rootArgs,
    '-subj',
    '/CN=corporate root',
    '-keyout',
    path('root.key'),
    '-out',
    path('root.pem'),
    '-addext',
    'keyUsage=critical,keyCertSign',
  );
  const intermediate = async (name: string, key: readonly string[]): Promise<void> => {
    await openssl('genpkey', ...key, '-out', path(`${name}.key`));
    await openssl(
      'req',
      '-new',
      '-key',
      path(`${name}.key`),
      '-subj',
      `/CN=${name}`,
      '-out',
      path(`${name}.csr`),
    );
    await openssl(
      'x509',
      '-req',
      '-in',
      path(`${name}.csr`),
      '-CA',
      path('root.pem'),
      '-CAkey',
      path('root.key'),
      '-days',
      '10',
      '-extfile',
      path('ca.cnf'),
      '-out',
      path(`${name}.pem`),
    );
  };
  await intermediate('ca', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
  const files = {
    certificate: path('ca.pem'),
    key: path('ca.key'),
    chain: undefined,
    roots: path('root.pem'),
  };
  const lab = await startLab(t, { roots: { kind: 'given', files } });
  const { pem } = await newRequest();
  const { chain } = await lab.client().ask(pem, agentA);
  assert.equal(chain.length, 3);
  assert.equal(
    await opensslVerifies(lab.dir, chain.slice(0, 2), chain[2] ?? '', 'sslserver'),
    true,
  );
  assert.equal(chain[2], await readFile(path('root.pem'), 'utf8'));
  assert.notEqual(
    await opensslVerifies(lab.dir, chain.slice(0, 1), chain[2] ?? '', 'sslserver'),
    true,
  );
});

test('a given CA that does not fit together is refused', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = (name: string): string => join(dir, name);
  for (const name of ['a', 'b']) {
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.pem`),
    );
  }
  await openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=leaf',
    '-addext',
    'basicConstraints=critical,CA:FALSE',
    '-keyout',
    path('leaf.key'),
    '-out',
    path('leaf.pem'),
  );
  for (const [certificate, key, roots, message] of [
    ['a', 'b', 'a', /key is not the one/],
    ['a', 'a', 'b', /does not lead to one of the roots/],
    ['leaf', 'leaf', 'leaf', /CA:FALSE/],
    ['missing', 'a', 'a', /ENOENT/],
  ] as const) {
    const files = {
      certificate: path(`${certificate}.pem`),
      key: path(`${key}.key`),
      chain: undefined,
      roots: path(`${roots}.pem`),
    };
    await assert.rejects(startLab(t, { roots: { kind: 'given', files } }), (error: Error) => {
      assert.match(error.message, message);
      return (error as { code?: string }).code === 'ERR_CONFIG';
    });
  }
});
