/** The batched transport when things go wrong: handlers that throw, no descriptors left, garbage, workers that end in the middle. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as netConnect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { loadBinding } from '../../src/kernel/binding.ts';
import { BatchedTransport } from '../../src/proxy/batched-transport.ts';
import type { TlsRefusal } from '../../src/proxy/transport.ts';
import { LinkRecorder, codeOf } from '../support/link-recorder.ts';
import { skipReason } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';
import { freshSocket, listeningSocket } from '../support/sockets.ts';
import { SpiffeAuthority } from '../support/spiffe-authority.ts';
import { openDescriptors, startWorker } from './native-fixture.ts';

const skip = skipReason();
const run = promisify(execFile);
const dist = (path: string): string => pathToFileURL(join(repositoryRoot(), 'dist', path)).href;
const ID = 'spiffe://cluster.local/ns/default/sa/';

test('what a handler throws is uncaught, and the others go on', { skip }, async () => {
  const body = `(async () => {
    const { BatchedTransport } = await import(data.module);
    const transport = new BatchedTransport({ port: addon });
    const thrown = [];
    process.on('uncaughtException', (error) => thrown.push(error.message));
    let accepted = 0;
    transport.listen(data.fd, ({ link }) => {
      const bad = ++accepted % 2 === 1;
      link.start({ data(chunk) { if (bad) throw new Error('bad'); link.send(chunk); }, end() {}, drain() {}, close() {} });
    });
    parentPort.on('message', () => parentPort.postMessage(thrown));
    parentPort.postMessage('ready');
  })();`;
  const { fd, port } = listeningSocket();
  const worker = startWorker(body, { module: dist('src/proxy/batched-transport.js'), fd });
  await once(worker, 'message');
  const transport = new BatchedTransport({ port: loadBinding() });
  const links: LinkRecorder[] = [];
  for (let i = 0; i < 4; i++) {
    const link = await transport.connect(freshSocket(), { address: '127.0.0.1', port });
    links.push(new LinkRecorder(link).start());
  }
  for (const { link } of links) link.send(Uint8Array.of(7));
  await Promise.all([links[1]!, links[3]!].map((one) => one.until(() => one.bytes === 1)));
  worker.postMessage('thrown?');
  assert.deepEqual((await once(worker, 'message'))[0], ['bad', 'bad']);
  await worker.terminate();
  transport.close();
});

/* Its links, listeners and half-made handshakes belong to the thread. */
const WORKER = `
  (async () => {
    const { BatchedTransport } = await import(data.module);
    const transport = new BatchedTransport({ port: addon });
    const echo = ({ link }) => link.start({ data: (chunk) => link.send(chunk), end() {}, drain() {}, close() {} });
    const profile = { credentials: () => data.credentials, trustDomains: ['cluster.local'], handshakeTimeoutMs: 60000 };
    transport.listen(data.plain, echo);
    transport.listenTls(data.tls, profile, echo, () => {});
    parentPort.postMessage('ready');
  })();`;

test('a terminated worker resets its links and leaves nothing', { skip }, async () => {
  const authority = await SpiffeAuthority.create();
  const credentials = await authority.issue(`${ID}server`);
  const client = await authority.issue(`${ID}client`);
  const transport = new BatchedTransport({ port: loadBinding() });
  const module = dist('src/proxy/batched-transport.js');
  const before = openDescriptors();
  for (let round = 0; round < 4; round++) {
    const [plain, tls] = [listeningSocket(), listeningSocket()];
    const worker = startWorker(WORKER, { module, plain: plain.fd, tls: tls.fd, credentials });
    await once(worker, 'message');
    const to = { address: '127.0.0.1', port: plain.port };
    const links = [
      await transport.connect(freshSocket(), to),
      await transport.connectTls(
        freshSocket(),
        { ...to, port: tls.port },
        { credentials: client, acceptedIds: [credentials.spiffe], handshakeTimeoutMs: 5000 },
      ),
    ];
    const halfOpen = netConnect(tls.port, '127.0.0.1');
    halfOpen.on('error', () => {});
    halfOpen.write(Buffer.from('16030100', 'hex'));
    const recorders = links.map((link) => new LinkRecorder(link).start());
    for (const { link } of recorders) link.send(randomBytes(1000));
    await Promise.all(recorders.map((one) => one.until(() => one.bytes === 1000)));
    /* also in the middle of a flood */
    if (round > 1) for (const { link } of recorders) while (link.send(Buffer.alloc(65536)));
    await worker.terminate();
    const errors = await Promise.all(recorders.map(({ closed }) => closed));
    assert.deepEqual(errors.map(codeOf), ['ECONNRESET', 'ECONNRESET']);
    halfOpen.destroy();
  }
  for (let i = 0; i < 100 && openDescriptors() > before; i++) await sleep(10);
  assert.equal(openDescriptors(), before);
  transport.close();
});

test('without descriptors accept() rests, and goes on', { skip }, async () => {
  const body = `
    const { loadBinding } = await import('${dist('src/kernel/binding.js')}');
    const { BatchedTransport } = await import('${dist('src/proxy/batched-transport.js')}');
    const { connect } = await import('node:net');
    const { readdirSync } = await import('node:fs');
    const binding = loadBinding();
    const transport = new BatchedTransport({ port: binding });
    const addr = Buffer.from('00000000000000000000ffff7f000001', 'hex');
    const { fd, port } = binding.listenIn({ netnsPath: null, family: 4, addr, port: 0, backlog: 64 });
    const links = [];
    let [accepted, connected, closing] = [0, 0, false];
    transport.listen(fd, ({ link }) => {
      accepted++;
      if (closing) link.close(true);
      else links.push(link);
    });
    const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1', () => connected++));
    for (const socket of sockets) socket.on('error', () => {});
    await new Promise((resolve) => setTimeout(resolve, 400));
    const cpu = process.cpuUsage();
    const [some, failures] = [accepted, transport.acceptFailures];
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { user, system } = process.cpuUsage(cpu);
    closing = true;
    for (const link of links) link.close(true);
    await new Promise((resolve) => setTimeout(resolve, 500));
    console.log(JSON.stringify({ some, failures, accepted, connected, cpuMs: (user + system) / 1000 }));
    process.exit();`;
  const node = [process.execPath, '--input-type=module', '-e', body];
  const { stdout } = await run('sh', ['-c', 'ulimit -n 70; exec "$@"', 'sh', ...node]);
  type Seen = Record<'some' | 'failures' | 'accepted' | 'connected' | 'cpuMs', number>;
  const seen = JSON.parse(stdout) as Seen;
  assert.ok(seen.some > 0 && seen.some < seen.connected, stdout);
  assert.ok(seen.failures >= 2 && seen.failures < 20, stdout);
  assert.equal(seen.accepted, seen.connected, stdout);
  assert.ok(seen.cpuMs < 200, stdout);
});

test('garbage and silence at the TLS port cost the others nothing', { skip }, async () => {
  const transport = new BatchedTransport({ port: loadBinding() });
  const authority = await SpiffeAuthority.create();
  const server = await authority.issue(`${ID}server`);
  const credentials = await authority.issue(`${ID}client`);
  const before = openDescriptors();
  const { fd, port } = listeningSocket();
  const refused = new Map<TlsRefusal, number>();
  const accepted: LinkRecorder[] = [];
  const listener = transport.listenTls(
    fd,
    {
      credentials: () => server,
      trustDomains: ['cluster.local'],
      handshakeTimeoutMs: 1500,
    },
    ({ link }) => accepted.push(new LinkRecorder(link).start()),
    (reason) => refused.set(reason, (refused.get(reason) ?? 0) + 1),
  );
  const to = { address: '127.0.0.1', port };
  const silent = await Promise.all(
    Array.from({ length: 1000 }, () => transport.connect(freshSocket(), to)),
  );
  for (let i = 0; i < 200; i++) {
    const link = await transport.connect(freshSocket(), to);
    const noise = randomBytes(1 + ((i * 37) % 700));
    /* most look like a record with a ClientHello, to get further */
    if (i % 4 > 0) Buffer.from('1603010200010001fc0303', 'hex').copy(noise);
    const recorder = new LinkRecorder(link).start();
    link.send(noise);
    link.end();
    await recorder.closed;
  }
  const profile = { credentials, acceptedIds: [server.spiffe], handshakeTimeoutMs: 5000 };
  const started = performance.now();
  const good = new LinkRecorder(await transport.connectTls(freshSocket(), to, profile)).start();
  assert.ok(performance.now() - started < 1000);
  good.link.end();
  while (accepted.length === 0) await sleep(1);
  const peer = accepted[0]!;
  await peer.until(() => peer.ended);
  peer.link.end();
  assert.equal(await good.closed, undefined);
  assert.equal(accepted.length, 1);
  const deadline = Date.now() + 5000;
  const total = (): number => [...refused.values()].reduce((sum, count) => sum + count, 0);
  while (total() < 1200 && Date.now() < deadline) await sleep(20);
  assert.equal(refused.get('timeout'), 1000, JSON.stringify([...refused]));
  assert.equal(total(), 1200);
  for (const link of silent) link.close(true);
  listener.close();
  await sleep(1100);
  assert.equal(openDescriptors(), before);
  transport.close();
});
