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
import { connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type sendUnaryData, Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';
import { CaSource, tokenIn } from '../../../src/identity/ca-source.ts';
import { CertificateManager } from '../../../src/identity/certificate-manager.ts';
import type { CertificateStatus } from '../../../src/identity/certificate-status.ts';
import type { TlsCredentials } from '../../../src/identity/tls-credentials.ts';
import { createLog } from '../../../src/log.ts';
import { CertificateClient } from '../../../src/xds/client/certificate-client.ts';
import { selfSigned } from '../../support/certificate.ts';
import { openssl, temporaryDirectory } from '../../support/certificates.ts';
import { until } from '../../support/xds-server.ts';
import { codec, podCaller, startLab, TRUST_DOMAIN, type Lab } from './certification-fixture.ts';

const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const WEB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;

interface Node {
  readonly manager: CertificateManager;
  readonly tokenFile: string;
  readonly log: readonly string[];
  status(spiffe?: string): CertificateStatus;
}

interface NodeSetup {
  readonly port: number;
  readonly roots: string;
  readonly token?: string;
}

/** As the agent wires it. */
async function startNode(
  t: TestContext,
  { port, roots, token = 'agent-a' }: NodeSetup,
): Promise<Node> {
  const folder = await temporaryDirectory(t);
  const [rootFile, tokenFile] = [join(folder, 'roots.pem'), join(folder, 'token')];
  await writeFile(rootFile, roots);
  await writeFile(tokenFile, `${token}\n`);
  const client = new CertificateClient({
    servers: [{ name: 'ca', target: `localhost:${port}`, plaintext: false }],
    definition: codec.certificates,
    rootFile,
    serverName: undefined,
    clusterId: 'Kubernetes',
  });
  const log: string[] = [];
  const manager = new CertificateManager({
    source: new CaSource({
      name: 'ca',
      ask: (question) => client.ask(question),
      credential: () => tokenIn(tokenFile),
      lifeSeconds: 86_400,
    }),
    log: createLog({ level: 'trace', pretty: false }, { write: (line) => log.push(line) }),
  });
  t.after(() => manager.close());
  const status = (spiffe = CART): CertificateStatus =>
    manager.list().find(({ identity }) => identity === spiffe)!;
  return { manager, tokenFile, log, status };
}

const nodeOf = (t: TestContext, lab: Lab, token?: string): Promise<Node> =>
  startNode(t, { port: lab.port, roots: lab.authority.bundle(), ...(token && { token }) });

const held = ({ manager }: Node, spiffe: string): Promise<void> =>
  until(`a certificate for ${spiffe}`, () => manager.current(spiffe) !== undefined, 10_000);

const failed = (node: Node): Promise<void> =>
  until('a failure', () => node.status().failures > 0, 15_000);

/** mTLS as HBONE does it; the peers' names. */
async function shakeHands(
  t: TestContext,
  client: TlsCredentials,
  server: TlsCredentials,
): Promise<readonly (string | undefined)[]> {
  const tls = ({ privateKey, certificateChain, roots }: TlsCredentials) => ({
    key: privateKey,
    cert: certificateChain,
    ca: roots,
    minVersion: 'TLSv1.3' as const,
    ALPNProtocols: ['h2'],
  });
  const listener = createTlsServer({ ...tls(server), requestCert: true, rejectUnauthorized: true });
  t.after(() => listener.close());
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  const checkServerIdentity = (): undefined => undefined;
  const socket = connect({ ...tls(client), port, host: '127.0.0.1', checkServerIdentity });
  const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
  const names = [peer.getPeerX509Certificate(), socket.getPeerX509Certificate()];
  socket.destroy();
  peer.destroy();
  return names.map((one) => one?.subjectAltName);
}

test('two nodes, each with the identities of its own pods, shake hands', async (t) => {
  const lab = await startLab(t);
  const [a, b] = [await nodeOf(t, lab), await nodeOf(t, lab, 'agent-b')];
  a.manager.want(CART, 'soon');
  b.manager.want(WEB, 'now');
  await Promise.all([held(a, CART), held(b, WEB)]);
  const names = await shakeHands(t, a.manager.current(CART)!, b.manager.current(WEB)!);
  assert.deepEqual(names, [`URI:${CART}`, `URI:${WEB}`]);
  const hours = (Date.parse(a.status().notAfter) - Date.now()) / 3_600_000;
  assert.ok(hours > 23.9 && hours <= 24, a.status().notAfter);
  assert.deepEqual(lab.service.numbers().issued, { workload: 2, node: 0 });
});

test('an identity without a pod on the node is refused, and the others are not', async (t) => {
  const lab = await startLab(t);
  const node = await nodeOf(t, lab);
  node.manager.want(WEB, 'now');
  node.manager.want(CART, 'soon');
  await held(node, CART);
  await until('a refusal', () => node.status(WEB).failures > 0);
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
  assert.match(node.status().error, /ENOENT.*token/);
  await writeFile(node.tokenFile, '\n');
  await until('the empty file is met', () => node.status().error.endsWith('is empty'));
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
  const node = await startNode(t, { port, roots: lab.authority.bundle() });
  node.manager.want(CART, 'now');
  await failed(node);
  assert.match(node.status().error, /UNAVAILABLE/);
  assert.equal(node.manager.numbers().failed.unavailable, 1);
  const server = new Server();
  lab.service.addTo(server, codec.certificates);
  await bind(server, port, lab.serving.credentials());
  t.after(() => server.forceShutdown());
  await held(node, CART);
});

test('a CA whose TLS certificate is of another root is told nothing', async (t) => {
  const lab = await startLab(t);
  const node = await startNode(t, { port: lab.port, roots: selfSigned().cert });
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
async function startOddCa(t: TestContext, CreateCertificate: Answer): Promise<NodeSetup> {
  const { cert, key } = selfSigned();
  const server = new Server({ 'grpc.max_send_message_length': -1 });
  server.addService(codec.certificates, { CreateCertificate });
  const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
  const port = await bind(server, 0, ServerCredentials.createSsl(null, [pair], false));
  t.after(() => server.forceShutdown());
  return { port, roots: cert };
}

test('answers: huge, empty, garbage, roots alone', async (t) => {
  const answers: [string[], RegExp][] = [
    [['x'.repeat(4 << 20)], /larger than max|RESOURCE_EXHAUSTED/],
    [[], /no certificate in it/],
    [['garbage', 'garbage'], /not certificates in PEM/],
    [[selfSigned().cert], /no certificate in it/],
  ];
  for (const [cert_chain, why] of answers) {
    const node = await startNode(
      t,
      await startOddCa(t, (_call, answer) => answer(null, { cert_chain })),
    );
    node.manager.want(CART, 'now');
    await failed(node);
    assert.match(node.status().error, why);
    assert.equal(node.manager.current(CART), undefined);
  }
});

test('an answer that does not come: given up after 5 s, tried again, and nobody else waits', async (t) => {
  let calls = 0;
  const node = await startNode(
    t,
    await startOddCa(t, () => {
      calls++;
    }),
  );
  node.manager.want(CART, 'now');
  const started = performance.now();
  await failed(node);
  const seconds = (performance.now() - started) / 1000;
  assert.ok(seconds > 4 && seconds < 8, `${seconds} s`);
  assert.match(node.status().error, /DEADLINE_EXCEEDED/);
  await until('another try', () => calls > 1, 5000);
});

test('the answer to another node’s question, with that one’s key, is not taken', async (t) => {
  const lab = await startLab(t);
  const other = await nodeOf(t, lab);
  other.manager.want(CART, 'now');
  await held(other, CART);
  const { certificateChain, roots } = other.manager.current(CART)!;
  const node = await startNode(
    t,
    await startOddCa(t, (_call, answer) => answer(null, { cert_chain: [certificateChain, roots] })),
  );
  node.manager.want(CART, 'now');
  await failed(node);
  assert.match(node.status().error, /another key/);
  assert.equal(node.manager.numbers().failed.invalid, 1);
});

test('what is asked: one critical URI, no subject, the identity in the metadata, a day', async (t) => {
  const lab = await startLab(t);
  const seen: Record<string, unknown>[] = [];
  const node = await startNode(
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
  assert.ok(log.includes(node.status().serial));
  for (const secret of [key, 'PRIVATE', 'agent-a']) assert.ok(!log.includes(secret), secret);
});
