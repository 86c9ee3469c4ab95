/**
 * An agent's certificates from control's CA, over real gRPC, TLS and tokens: what works, and a CA that is away, slow, loud,
 * foreign, or says no.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';
import { selfSigned } from '../../support/certificate.ts';
import {
  shakeHands,
  startCertificateNode,
  type CertificateNode,
  type CertificateNodeSetup,
} from '../../support/certificate-node.ts';
import { openssl } from '../../support/certificates.ts';
import { until } from '../../support/xds-server.ts';
import { codec, podCaller, startLab, TRUST_DOMAIN, type Lab } from './certification-fixture.ts';

const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;

const nodeOf = (t: TestContext, lab: Lab, token?: string): Promise<CertificateNode> =>
  startCertificateNode(t, {
    address: `localhost:${lab.port}`,
    roots: lab.authority.bundle(),
    ...(token && { token }),
  });

const held = ({ manager }: CertificateNode, spiffe: string): Promise<void> =>
  until(`a certificate for ${spiffe}`, () => manager.current(spiffe) !== undefined, 10_000);

const failed = (node: CertificateNode): Promise<void> =>
  until('a failure', () => node.status(CART).failures > 0, 15_000);

test('two nodes, each with the identities of its own pods, shake hands', async (t) => {
  const lab = await startLab(t);
  const [a, b] = [await nodeOf(t, lab), await nodeOf(t, lab, 'agent-b')];
  a.manager.want(CART, 'soon');
  b.manager.want(WEB, 'now');
  await Promise.all([held(a, CART), held(b, WEB)]);
  const names = await shakeHands(a.manager.current(CART)!, b.manager.current(WEB)!);
  assert.deepEqual(names, [`URI:${CART}`, `URI:${WEB}`]);
  const hours = (Date.parse(a.status(CART).notAfter) - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours <= 24, a.status(CART).notAfter);
  assert.deepEqual(lab.service.numbers().issued, { workload: 2, node: 0 });
});

test('an identity without a pod on the node is refused, and the others are not', async (t) => {
  const lab = await startLab(t);
  const node = await nodeOf(t, lab);
  node.manager.want(WEB, 'now');
  node.manager.want(CART, 'soon');
  await held(node, CART);
  await until('a refusal', () => node.status(WEB).failures > 0, 15_000);
  assert.equal(node.status(WEB).state, 'failed');
  assert.match(node.status(WEB).error, /UNAUTHENTICATED/);
  assert.equal(node.manager.numbers().failed.refused, 1);
});

test('the token is read for every question: a new one is used, a missing one is said', async (t) => {
  const lab = await startLab(t);
  const node = await nodeOf(t, lab);
  await rm(node.tokenFile);
  node.manager.want(CART, 'now');
  await failed(node);
  assert.match(node.status(CART).error, /ENOENT.*token/);
  await writeFile(node.tokenFile, '\n');
  await until('the empty file is met', () => node.status(CART).error.endsWith('is empty'), 15_000);
  lab.tokens.set('renewed', podCaller('podwire-system/podwire', 'node-a'));
  await writeFile(node.tokenFile, 'renewed\n');
  await held(node, CART);
});

test('CA away, then back on the same port', async (t) => {
  const lab = await startLab(t);
  const gone = createServer();
  gone.listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  const node = await startCertificateNode(t, {
    address: `localhost:${port}`,
    roots: lab.authority.bundle(),
  });
  node.manager.want(CART, 'now');
  await failed(node);
  assert.match(node.status(CART).error, /UNAVAILABLE/);
  assert.equal(node.manager.numbers().failed.unavailable, 1);
  const server = new Server();
  lab.service.addTo(server, codec.certificates);
  await bind(server, port, lab.serving.credentials());
  t.after(() => server.forceShutdown());
  await held(node, CART);
});

test('a CA whose TLS certificate is of another root is told nothing', async (t) => {
  const lab = await startLab(t);
  const node = await startCertificateNode(t, {
    address: `localhost:${lab.port}`,
    roots: selfSigned().cert,
  });
  node.manager.want(CART, 'now');
  await failed(node);
  assert.equal(lab.service.numbers().refused.unauthenticated, 0);
  assert.equal(lab.service.numbers().issued.workload, 0);
});

function bind(server: Server, port: number, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
}

type Answer = (
  call: ServerUnaryCall<{ csr: string }, { cert_chain: string[] }>,
  answer: sendUnaryData<{ cert_chain: string[] }>,
) => void;

/** A CA that answers as the test wants. */
async function startOddCa(
  t: TestContext,
  CreateCertificate: Answer,
): Promise<CertificateNodeSetup> {
  const { cert, key } = selfSigned();
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  server.addService(codec.certificates, { CreateCertificate });
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const port = await bind(server, 0, ServerCredentials.createSsl(null, [pair], false));
  t.after(() => server.forceShutdown());
  return { address: `localhost:${port}`, roots: cert };
}

test('answers: huge, empty, garbage, roots alone', async (t) => {
  const answers: [string[], RegExp][] = [
    [['x'.repeat(4 << 20)], /larger than max|RESOURCE_EXHAUSTED/],
    [[], /no certificate in it/],
    [['garbage', 'garbage'], /not certificates in PEM/],
    [[selfSigned().cert], /no certificate in it/],
  ];
  for (const [cert_chain, why] of answers) {
    const node = await startCertificateNode(
      t,
      await startOddCa(t, (_call, answer) => answer(null, { cert_chain })),
    );
    node.manager.want(CART, 'now');
    await failed(node);
    assert.match(node.status(CART).error, why);
    assert.equal(node.manager.current(CART), undefined);
  }
});

test('an answer that does not come: given up after 5 s, tried again, and nobody else waits', async (t) => {
  let calls = 0;
  const node = await startCertificateNode(
    t,
    await startOddCa(t, () => {
      calls++;
    }),
  );
  node.manager.want(CART, 'now');
  const started = performance.now();
  await failed(node);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seconds > 4 && seconds < 13, `${seconds} s`);
  assert.match(node.status(CART).error, /DEADLINE_EXCEEDED/);
  await until('another try', () => calls > 1, 20_000);
});

test('the answer to another node’s question, with that one’s key, is not taken', async (t) => {
  const lab = await startLab(t);
  const other = await nodeOf(t, lab);
  other.manager.want(CART, 'now');
  await held(other, CART);
  const { certificateChain, roots } = other.manager.current(CART)!;
  const node = await startCertificateNode(
    t,
    await startOddCa(t, (_call, answer) => answer(null, { cert_chain: [certificateChain, roots] })),
  );
  node.manager.want(CART, 'now');
  await failed(node);
  assert.match(node.status(CART).error, /another key/);
  assert.equal(node.manager.numbers().failed.invalid, 1);
});

test('what is asked: one critical URI, no subject, the identity in the metadata, a day', async (t) => {
  const lab = await startLab(t);
  const seen: Record<string, unknown>[] = [];
  const node = await startCertificateNode(
    t,
    await startOddCa(t, (call, answer) => {
      seen.push({ ...call.request, token: call.metadata.get('authorization') });
      answer(null, { cert_chain: [] });
    }),
  );
  node.manager.want(CART, 'now');
  await failed(node);
  const [asked] = seen as [
    { csr: string; token: unknown; validity_duration: string; metadata: unknown },
  ];
  assert.equal(asked.validity_duration, '86400');
  assert.deepEqual(asked.token, ['Bearer agent-a']);
  assert.match(JSON.stringify(asked.metadata), new RegExp(`ImpersonatedIdentity.*${CART}`));
  const path = join(lab.dir, 'asked.csr');
  await writeFile(path, asked.csr);
  const text = await openssl('req', '-in', path, '-noout', '-text', '-verify');
  assert.match(text, /Alternative Name: critical\s+URI:spiffe:\S+\/ns\/shop\/sa\/cart\n/);
  assert.match(text, /Subject:\s*\n/);
  assert.match(text, /prime256v1/);
});

test('no key in the log, and the token neither', async (t) => {
  const lab = await startLab(t);
  const node = await nodeOf(t, lab);
  lab.tokens.delete('agent-a');
  node.manager.want(CART, 'now');
  await failed(node);
  lab.tokens.set('agent-a', podCaller('podwire-system/podwire', 'node-a'));
  await held(node, CART);
  const log = node.log.join('');
  const key = node.manager.current(CART)!.privateKey.split('\n')[1]!;
  assert.ok(log.includes(node.status(CART).serial));
  for (const secret of [key, 'PRIVATE', 'agent-a']) assert.ok(!log.includes(secret), secret);
});
