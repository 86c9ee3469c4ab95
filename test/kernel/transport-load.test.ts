/** The batched transport with many links and much to do. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import { BatchedTransport } from '../../src/proxy/batched-transport.ts';
import { LinkRecorder } from '../support/link-recorder.ts';
import { skipReason } from '../support/node.ts';
import { freshSocket, listeningSocket } from '../support/sockets.ts';
import { makeNetns, openDescriptors } from './native-fixture.ts';

const skip = skipReason();

function rssMiB(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
}

test('10,000 links in a namespace, and nothing left of them', { skip }, async (context) => {
  const binding = loadBinding();
  const netnsPath = makeNetns(context);
  const transport = new BatchedTransport({ port: binding });
  // the first socket of another namespace makes the thread keep its own
  binding.closeFd(binding.socketIn({ netnsPath, family: 4, resetOnClose: true }));
  const before = openDescriptors();
  const rssBefore = rssMiB();
  const { fd, port } = binding.listenIn({
    ...{ netnsPath, family: 4, addr: addrFromText('127.0.0.1'), port: 0, backlog: 4096 },
    resetOnClose: true,
  });
  const recorders: LinkRecorder[] = [];
  const listener = transport.listen(fd, ({ link }) => {
    const recorder = new LinkRecorder(link);
    recorder.onData = (chunk) => link.send(chunk);
    recorder.onEnd = () => link.end();
    recorders.push(recorder.start());
  });
  const clients: LinkRecorder[] = [];
  for (let batch = 0; batch < 50; batch++) {
    const links = await Promise.all(
      Array.from({ length: 100 }, () => {
        const socket = binding.socketIn({ netnsPath, family: 4, resetOnClose: true });
        return transport.connect(socket, { address: '127.0.0.1', port });
      }),
    );
    for (const link of links) clients.push(new LinkRecorder(link).start());
  }
  const rss = rssMiB() - rssBefore;
  for (let round = 1; round <= 3; round++) {
    for (const { link } of clients) assert.equal(link.send(randomBytes(100)), true);
    await Promise.all(clients.map((client) => client.until(() => client.bytes === 100 * round)));
  }
  assert.equal(recorders.length, 5000);
  for (const { link } of clients) link.end();
  const errors = await Promise.all([...clients, ...recorders].map(({ closed }) => closed));
  assert.deepEqual(
    errors.filter((error) => error),
    [],
  );
  listener.close();
  assert.equal(openDescriptors(), before);
  transport.close();
  assert.ok(rss < 80, `${rss.toFixed(0)} MiB for 10,000 links`);
  context.diagnostic(`${((rss * 1024) / 10_000).toFixed(2)} KiB a link, recorder and all`);
});

test('timers and messages come between the turns of a flood', { skip }, async () => {
  const transport = new BatchedTransport({ port: loadBinding() });
  const { fd, port } = listeningSocket();
  const flood = Buffer.alloc(65536);
  const listener = transport.listen(fd, ({ link }) => new LinkRecorder(link).start());
  const link = await transport.connect(freshSocket(), { address: '127.0.0.1', port });
  const client = new LinkRecorder(link).start();
  let stop = false;
  const pump = (): void => {
    while (!stop && link.send(flood));
  };
  client.onDrain = pump;
  pump();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await sleep(500);
  clearInterval(timer);
  stop = true;
  assert.ok(link.bytesWritten > 10 << 20, `${link.bytesWritten} bytes`);
  assert.ok(ticks >= 20, `${ticks} ticks of 100`);
  listener.close();
  transport.close();
});

test('forty floods share, and a question is answered in between', { skip }, async (context) => {
  const transport = new BatchedTransport({ port: loadBinding() });
  const { fd, port } = listeningSocket();
  const sinks: LinkRecorder[] = [];
  const listener = transport.listen(fd, ({ link }) => {
    const recorder = new LinkRecorder(link);
    /* the first byte tells a question */
    recorder.onData = (chunk) => void (chunk[0] === 1 && link.send(chunk));
    sinks.push(recorder.start());
  });
  const connect = async (): Promise<LinkRecorder> => {
    const link = await transport.connect(freshSocket(), { address: '127.0.0.1', port });
    return new LinkRecorder(link).start();
  };
  const flood = Buffer.alloc(65536);
  const floods = await Promise.all(Array.from({ length: 40 }, connect));
  const asker = await connect();
  let stop = false;
  for (const recorder of floods) {
    const pump = (): void => {
      while (!stop && recorder.link.send(flood));
    };
    recorder.onDrain = pump;
    pump();
  }
  const waits: number[] = [];
  for (let i = 1; i <= 20; i++) {
    const asked = performance.now();
    asker.link.send(Uint8Array.of(1));
    await asker.until(() => asker.bytes === i);
    waits.push(performance.now() - asked);
  }
  stop = true;
  const received = sinks.map(({ bytes }) => bytes).filter((bytes) => bytes > 20);
  const least = Math.min(...received) / (received.reduce((sum, bytes) => sum + bytes, 0) / 40);
  context.diagnostic(
    `longest wait ${Math.max(...waits).toFixed(1)} ms, least share ${least.toFixed(2)} of the mean`,
  );
  assert.equal(received.length, 40);
  assert.ok(least > 0.1, `one had ${least.toFixed(3)} of the mean`);
  assert.ok(Math.max(...waits) < 500, `${Math.max(...waits)} ms`);
  listener.close();
  transport.close();
});
