/** The transport contract without TLS, for every transport: what tcp-proxy, HTTP/2 and HBONE rely on. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect as netConnect, type Socket } from 'node:net';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AcceptedLink, Link, Transport } from '../../../src/proxy/transport.ts';
import { LinkRecorder, codeOf, sendAll } from '../../support/link-recorder.ts';
import { TRANSPORTS, freshSocket, listeningSocket } from '../../support/sockets.ts';

interface Pair {
  readonly client: LinkRecorder;
  readonly server: LinkRecorder;
  readonly accepted: AcceptedLink;
}

const digestOf = (...chunks: readonly Uint8Array[]): string => {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
};

/** Two links of one connection, neither started. */
async function pair(t: TestContext, transport: Transport, family: 4 | 6 = 4): Promise<Pair> {
  const { fd, port } = listeningSocket(family);
  let accept!: (accepted: AcceptedLink) => void;
  const arrival = new Promise<AcceptedLink>((resolve) => (accept = resolve));
  const listener = transport.listen(fd, accept);
  const address = family === 4 ? '127.0.0.1' : '::1';
  const link = await transport.connect(freshSocket(family), { address, port });
  const accepted = await arrival;
  t.after(() => {
    listener.close();
    link.close(true);
    accepted.link.close(true);
  });
  return { client: new LinkRecorder(link), server: new LinkRecorder(accepted.link), accepted };
}

/** One end of a connection is an ordinary socket. */
async function withSocket(
  t: TestContext,
  transport: Transport,
): Promise<{ socket: Socket; link: Link }> {
  const { fd, port } = listeningSocket();
  let accept!: (accepted: AcceptedLink) => void;
  const arrival = new Promise<AcceptedLink>((resolve) => (accept = resolve));
  const listener = transport.listen(fd, accept);
  const socket = netConnect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const { link } = await arrival;
  t.after(() => {
    listener.close();
    socket.destroy();
    link.close(true);
  });
  return { socket, link };
}

for (const { name, create } of TRANSPORTS) {
  const transport = create();

  for (const family of [4, 6] as const) {
    test(`${name}: an accepted link knows both ends, IPv${family}`, async (t) => {
      const { accepted, client } = await pair(t, transport, family);
      const address = family === 4 ? '127.0.0.1' : '::1';
      assert.deepEqual([accepted.local.address, accepted.remote.address], [address, address]);
      assert.ok(accepted.link.fd > 2 && client.link.fd > 2);
      assert.ok(accepted.local.port > 0 && accepted.remote.port !== accepted.local.port);
    });
  }

  test(`${name}: both directions end by themselves, without an error`, async (t) => {
    const { client, server } = await pair(t, transport);
    const there = [randomBytes(1), randomBytes(300_000), Buffer.alloc(0), randomBytes(3_000_000)];
    const back = [randomBytes(2_000_000), randomBytes(17)];
    client.start();
    server.start();
    sendAll(client, there);
    await server.until(() => server.ended);
    assert.equal(client.ended, false);
    sendAll(server, back);
    assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined]);
    assert.equal(server.digest(), digestOf(...there));
    assert.equal(client.digest(), digestOf(...back));
    assert.deepEqual([client.link.bytesRead, client.link.bytesWritten], [2_000_017, 3_300_001]);
    assert.equal(client.calls.filter((call) => call === 'close').length, 1);
    assert.equal(server.link.fd, -1);
  });

  test(`${name}: an orderly end is FIN, whatever SO_LINGER says`, async (t) => {
    const { socket, link } = await withSocket(t, transport);
    const recorder = new LinkRecorder(link).start();
    socket.write('question');
    await recorder.until(() => recorder.bytes === 8);
    link.send(Buffer.from('answer'));
    link.close(false);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    await once(socket, 'end');
    assert.equal(String(answer), 'answer');
    assert.equal(await recorder.closed, undefined);
  });

  test(`${name}: close(true) is RST for the peer, and no error here`, async (t) => {
    const { client, server } = await pair(t, transport);
    client.start();
    server.start();
    client.link.close(true);
    assert.equal(await client.closed, undefined);
    assert.equal(codeOf(await server.closed), 'ECONNRESET');
    assert.equal(server.ended, false);
  });

  /* net.Socket reads a reset that waited behind unread bytes as an end: recv() says 0, and it does not ask SO_ERROR. */
  // net.Socket cannot tell
  const testable = name === 'net' ? undefined : test;
  void testable?.(`${name}: bytes before a reset arrive before it`, async (t) => {
    const { socket, link } = await withSocket(t, transport);
    const recorder = new LinkRecorder(link);
    socket.write(Buffer.alloc(100_000));
    await sleep(30);
    socket.resetAndDestroy();
    await sleep(10);
    recorder.start();
    assert.equal(codeOf(await recorder.closed), 'ECONNRESET');
    assert.equal(recorder.bytes, 100_000);
  });

  test(`${name}: what comes before start() waits`, async (t) => {
    const { client, server } = await pair(t, transport);
    client.start();
    client.link.send(Buffer.from('early'));
    client.link.end();
    await sleep(20);
    assert.deepEqual(server.calls, []);
    server.start();
    await server.until(() => server.ended);
    assert.equal(server.bytes, 5);
  });

  test(`${name}: a refused connect rejects`, async (t) => {
    const { fd, port } = listeningSocket();
    transport.listen(fd, () => {}).close();
    await sleep(5);
    for (let i = 0; i < 3; i++) {
      const refused = transport.connect(freshSocket(), { address: '127.0.0.1', port });
      await assert.rejects(refused, (error: Error) => codeOf(error) === 'ECONNREFUSED');
    }
    t.diagnostic('three times');
  });

  test(`${name}: a reader that does not read stops the sender`, async (t) => {
    const { client, server } = await pair(t, transport);
    client.start();
    server.start();
    server.link.pause();
    const chunk = randomBytes(65536);
    let sent = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        sent += chunk.length;
        if (!client.link.send(chunk)) return;
        await sleep(0);
      }
    };
    await fill();
    assert.ok(sent < 32 << 20, `${sent} bytes before false`);
    await sleep(20);
    assert.ok(!client.calls.includes('drain'));
    assert.equal(server.bytes, 0);
    const drained = new Promise<void>((resolve) => (client.onDrain = resolve));
    server.link.resume();
    await drained;
    client.link.end();
    await server.until(() => server.ended);
    assert.equal(server.bytes, sent);
  });

  test(`${name}: a paused link hears nothing, also of this turn`, async (t) => {
    const [one, two] = [await pair(t, transport), await pair(t, transport)];
    const paused = new Set<LinkRecorder>();
    let [pauses, heardWhilePaused] = [0, 0];
    const stopOther = (self: LinkRecorder, other: LinkRecorder): void => {
      if (paused.has(self)) heardWhilePaused++;
      if (paused.has(other)) return;
      pauses++;
      paused.add(other);
      other.link.pause();
      setTimeout(() => {
        paused.delete(other);
        other.link.resume();
      }, 5);
    };
    one.server.onData = () => stopOther(one.server, two.server);
    two.server.onData = () => stopOther(two.server, one.server);
    for (const { client, server } of [one, two]) {
      client.start();
      server.start();
    }
    for (let i = 0; i < 20; i++) {
      one.client.link.send(randomBytes(1000));
      two.client.link.send(randomBytes(1000));
      await sleep(6);
    }
    one.client.link.end();
    two.client.link.end();
    await Promise.all([one, two].map(({ server }) => server.until(() => server.ended)));
    assert.ok(pauses > 10);
    assert.equal(heardWhilePaused, 0);
    assert.deepEqual([one.server.bytes, two.server.bytes], [20_000, 20_000]);
  });

  test(`${name}: heads before payloads, through a relay`, async (t) => {
    const [inward, outward] = [await pair(t, transport), await pair(t, transport)];
    const heads = Buffer.alloc(1 << 20);
    let frames = 0;
    const expected = createHash('sha256');
    inward.server.onData = (chunk) => {
      /* as HTTP/2 frames it: sometimes the payload in two */
      const cut = frames % 3 === 2 ? chunk.length >> 1 : 0;
      for (const part of cut > 0 ? [chunk.subarray(0, cut), chunk.subarray(cut)] : [chunk]) {
        const head = heads.subarray(9 * frames, 9 * ++frames);
        head.writeUIntBE(part.length, 0, 3);
        head.writeUInt32BE(frames, 5);
        expected.update(head).update(part);
        outward.client.link.send(head);
        if (!outward.client.link.send(part)) inward.server.link.pause();
      }
    };
    inward.server.onEnd = () => outward.client.link.end();
    outward.client.onDrain = () => inward.server.link.resume();
    for (const { client, server } of [inward, outward]) {
      client.start();
      server.start();
    }
    sendAll(
      inward.client,
      Array.from({ length: 200 }, (_, i) => randomBytes((i * 7919) % 70_000)),
    );
    await outward.server.until(() => outward.server.ended);
    assert.ok(frames > 50);
    assert.equal(outward.server.digest(), expected.digest('hex'));
  });

  test(`${name}: nothing is heard or sent after close()`, async (t) => {
    const { client, server } = await pair(t, transport);
    client.start();
    server.onData = () => server.link.close(false);
    server.start();
    client.link.send(randomBytes(200_000));
    client.link.end();
    await server.closed;
    server.link.send(Buffer.from('late'));
    server.link.end();
    server.link.pause();
    server.link.resume();
    server.link.close(true);
    await client.closed;
    await sleep(5);
    assert.deepEqual(server.calls, ['data', 'close']);
    assert.equal(client.bytes, 0);
  });

  test(`${name}: a number that is used again belongs to the new link only`, async (t) => {
    const { fd, port } = listeningSocket();
    const old: Link[] = [];
    const listener = transport.listen(fd, ({ link }) => {
      const recorder = new LinkRecorder(link);
      recorder.onData = (chunk) => link.send(chunk);
      recorder.onEnd = () => link.end();
      recorder.start();
      /* what a careless owner still does with links that are gone */
      for (const gone of old.splice(0)) {
        gone.send(Buffer.from('stray'));
        gone.close(true);
      }
    });
    t.after(() => listener.close());
    for (let i = 0; i < 300; i++) {
      const link = await transport.connect(freshSocket(), { address: '127.0.0.1', port });
      const recorder = new LinkRecorder(link).start();
      const text = Buffer.from(`round ${i}`);
      link.send(text);
      await recorder.until(() => recorder.bytes >= text.length);
      if (i % 3 === 0) link.close(true);
      else link.end();
      assert.equal(await recorder.closed, undefined);
      assert.equal(recorder.digest(), digestOf(text));
      old.push(link);
    }
  });

  test(`${name}: connections wait in the queue until listen()`, async (t) => {
    const { fd, port } = listeningSocket();
    const sockets = Array.from({ length: 20 }, () => netConnect({ host: '127.0.0.1', port }));
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const socket of sockets) socket.on('error', () => {});
    const links: Link[] = [];
    let listener: { close(): void } | undefined;
    await new Promise<void>((resolve) => {
      listener = transport.listen(fd, ({ link }) => {
        links.push(link);
        if (links.length === 20) resolve();
      });
    });
    listener?.close();
    listener?.close();
    for (const link of links) link.close(true);
    const late = netConnect({ host: '127.0.0.1', port });
    await assert.rejects(once(late, 'connect'), /ECONNREFUSED/);
  });
}
