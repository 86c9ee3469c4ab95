/** Two sessions against each other in memory, in pieces of any size: flow control, fairness, ends. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ErrorCode, StreamError } from '../../../src/http2/error.ts';
import { FrameType, Setting } from '../../../src/http2/frame.ts';
import { Session } from '../../../src/http2/session.ts';
import type { SessionEvents } from '../../../src/http2/session-events.ts';
import type { LocalSettings } from '../../../src/http2/settings.ts';
import type { Http2Stream } from '../../../src/http2/stream.ts';
import { linkPair, type MemoryLink } from '../../support/link-pair.ts';
import { frame, RawPeer, u32 } from './raw-peer.ts';

const REQUEST = [':method', 'CONNECT', ':authority', '10.0.0.1:80'];
const OK = [':status', '200'];

interface Lab {
  readonly client: Session;
  readonly server: Session;
  readonly links: readonly [MemoryLink, MemoryLink];
  /** how each session ended */
  readonly ends: { client?: Error | 'orderly'; server?: Error | 'orderly' };
}

function lab(
  onRequest: (stream: Http2Stream, fields: readonly string[]) => void,
  options: {
    settings?: Partial<LocalSettings>;
    clientEvents?: SessionEvents;
    keepalive?: { intervalMs: number; timeoutMs: number };
  } = {},
): Lab {
  const links = linkPair();
  const ends: Lab['ends'] = {};
  const { settings = {}, keepalive = { intervalMs: 1e9, timeoutMs: 1e9 } } = options;
  const server = new Session({
    ...{ link: links[1], role: 'server', settings, keepalive },
    events: {
      request: onRequest,
      close: (error) => (ends.server = error ?? 'orderly'),
    },
  });
  const client = new Session({
    ...{ link: links[0], role: 'client', settings, keepalive },
    events: {
      ...options.clientEvents,
      close: (error) => (ends.client = error ?? 'orderly'),
    },
  });
  return { client, server, links, ends };
}

class Reader {
  readonly stream: Http2Stream;
  bytes = Buffer.alloc(0);
  ended = false;
  closed = false;
  error: Error | undefined;
  drains = 0;

  constructor(stream: Http2Stream) {
    this.stream = stream;
    stream.start({
      data: (chunk) => (this.bytes = Buffer.concat([this.bytes, chunk])),
      end: () => (this.ended = true),
      drain: () => this.drains++,
      close: (error) => {
        assert.equal(this.closed, false);
        this.closed = true;
        this.error = error;
      },
    });
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`no ${what}`);
    await new Promise(setImmediate);
  }
}

/** Sends and minds backpressure. */
async function send(reader: Reader, bytes: Buffer, piece: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    const before = reader.drains;
    if (!reader.stream.send(bytes.subarray(at, at + piece)))
      await until(() => reader.drains > before || reader.closed, 'drain');
  }
}

function echo(stream: Http2Stream): void {
  stream.sendFields(OK);
  stream.start({
    data: (chunk) => {
      if (!stream.send(chunk)) stream.pause();
    },
    end: () => stream.end(),
    drain: () => stream.resume(),
    close: () => undefined,
  });
}

suite('streams', () => {
  test('echo in any pieces, through any windows and links', async () => {
    const sizes = fc.record({
      bytes: fc.integer({ min: 0, max: 200_000 }),
      piece: fc.integer({ min: 500, max: 70_000 }),
      linkPiece: fc.constantFrom(7, 100, 16_393, Infinity),
      highWater: fc.constantFrom(1, 1000, 65_536),
      streamWindow: fc.constantFrom(100, 5000, 65_535, 1 << 20),
      connectionWindow: fc.constantFrom(65_535, 100_000, 1 << 20),
      streams: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(sizes, async (the) => {
        const bytes = the.linkPiece < 1000 || the.streamWindow < 1000 ? the.bytes / 20 : the.bytes;
        const { streamWindow, connectionWindow } = the;
        const { client, links } = lab(echo, { settings: { streamWindow, connectionWindow } });
        for (const link of links) {
          link.pieceBytes = the.linkPiece;
          link.highWater = the.highWater;
        }
        const one = async (): Promise<void> => {
          const data = randomBytes(Math.floor(bytes));
          const reader = new Reader(client.open(REQUEST, {}));
          await send(reader, data, the.piece);
          reader.stream.end();
          await until(() => reader.closed, 'close');
          assert.equal(reader.error, undefined);
          assert.ok(reader.ended && reader.bytes.equals(data));
        };
        await Promise.all(Array.from({ length: the.streams }, one));
        assert.equal(client.streamCount, 0);
        client.close();
      }),
      { numRuns: 60 },
    );
  });

  test('a reader that stops costs its window and no more; the others go on', async () => {
    const streams: Http2Stream[] = [];
    const settings = { streamWindow: 50_000, connectionWindow: 200_000 };
    const { client } = lab((stream) => streams.push(stream), { settings });
    const [slow, fast] = [client.open(REQUEST, {}), client.open(REQUEST, {})];
    await until(() => streams.length === 2, 'requests');
    for (const stream of streams) stream.sendFields(OK);
    const writers = streams.map((stream) => new Reader(stream));
    slow.pause();
    const [slowReader, fastReader] = [new Reader(slow), new Reader(fast)];
    let sent = 0;
    while (writers[0]?.stream.send(Buffer.alloc(1000, sent / 1000))) sent += 1000;
    sent += 1000;
    assert.ok(sent >= 50_000 && sent <= 52_000, `${sent}`);
    await sleep(20);
    assert.equal(slowReader.bytes.length, 0);
    const [, fastWriter] = writers;
    assert.ok(fastWriter);
    await send(fastWriter, Buffer.alloc(500_000, 7), 10_000);
    await until(() => fastReader.bytes.length === 500_000, 'the fast one');
    slow.resume();
    await until(() => slowReader.bytes.length === sent, 'the slow one');
    assert.equal(slowReader.bytes[sent - 1], ((sent - 1000) / 1000) & 0xff);
  });

  test('many tiny frames for a stopped reader share memory', () => {
    const peer = new RawPeer('server', { settings: { streamWindow: 1 << 20 } });
    peer.write(peer.connect(1));
    const before = process.memoryUsage();
    const tiny = Buffer.concat(
      Array.from({ length: 1000 }, () => frame(FrameType.DATA, 0, 1, Buffer.from('x'))),
    );
    for (let round = 0; round < 1000; round++) peer.write(tiny);
    const after = process.memoryUsage();
    const grown = after.heapUsed + after.external - before.heapUsed - before.external;
    const [stream] = peer.requests;
    assert.ok(stream);
    const reader = new Reader(stream);
    assert.equal(reader.bytes.length, 1_000_000);
    assert.ok(grown < 60e6, `${grown} bytes for a million`);
  });

  test('streams take turns on a link that is slow', async () => {
    const { client, links } = lab((stream) => {
      stream.sendFields(OK);
      new Reader(stream);
    });
    links[0].highWater = 1;
    links[0].pieceBytes = 16_384;
    const readers = Array.from({ length: 4 }, () => new Reader(client.open(REQUEST, {})));
    const sent = readers.map(() => 0);
    const order: number[] = [];
    const pump = (index: number): void => {
      const reader = readers[index];
      if (!reader || (sent[index] ?? 0) >= 20) return;
      sent[index] = (sent[index] ?? 0) + 1;
      order.push(index);
      const before = reader.drains;
      if (reader.stream.send(Buffer.alloc(64_000))) pump(index);
      else void until(() => reader.drains > before, 'drain').then(() => pump(index));
    };
    for (const index of readers.keys()) pump(index);
    await until(() => order.length === 80, 'all turns');
    for (let at = 0; at + 12 < 80; at += 4) {
      const window = new Set(order.slice(at, at + 12));
      assert.equal(window.size, 4, `turns ${order.slice(at, at + 12).join()}`);
    }
  });

  test('what comes before start() waits; half-close in both orders', async () => {
    const streams: Http2Stream[] = [];
    const { client } = lab((stream) => streams.push(stream));
    const reader = new Reader(client.open(REQUEST, {}));
    reader.stream.send(Buffer.from('early'));
    reader.stream.end();
    await until(() => streams.length === 1, 'request');
    await sleep(5);
    const [stream] = streams;
    assert.ok(stream);
    stream.sendFields(OK);
    const other = new Reader(stream);
    assert.equal(other.bytes.toString(), 'early');
    assert.ok(other.ended && !other.closed);
    stream.send(Buffer.from('late'));
    stream.end();
    await until(() => reader.closed && other.closed, 'close');
    assert.equal(reader.bytes.toString(), 'late');
  });

  test('trailers and interim responses', async () => {
    const { client } = lab((stream) => {
      stream.sendFields([':status', '103', 'link', 'x']);
      stream.sendFields(OK);
      stream.send(Buffer.from('body'));
      stream.sendFields(['grpc-status', '0'], true);
    });
    const seen: (readonly string[])[] = [];
    const stream = client.open(REQUEST, { fields: (fields) => seen.push(fields) });
    const reader = new Reader(stream);
    stream.end();
    await until(() => reader.ended, 'end');
    assert.deepEqual(seen, [[':status', '103', 'link', 'x'], OK, ['grpc-status', '0']]);
  });

  test('a large header block goes in CONTINUATION frames', async () => {
    const seen: (readonly string[])[] = [];
    const { client } = lab((stream, fields) => {
      seen.push(fields);
      stream.close(true);
    });
    const fields = [...REQUEST];
    for (let index = 0; index < 50; index++) fields.push(`x-${index}`, 'y'.repeat(1000));
    client.open(fields, {});
    await until(() => seen.length === 1, 'request');
    assert.deepEqual(seen[0], fields);
  });

  test('RST_STREAM: codes, the tunnel rule for CANCEL, nothing sent after it', async () => {
    const streams: Http2Stream[] = [];
    const { client } = lab((stream) => {
      stream.sendFields(OK);
      streams.push(stream);
    });
    const open = async (): Promise<[Reader, Http2Stream]> => {
      const count = streams.length;
      const reader = new Reader(client.open(REQUEST, {}));
      await until(() => streams.length > count, 'request');
      await until(() => reader.stream.answered, 'answer');
      return [reader, streams.at(-1) as Http2Stream];
    };
    const [plain, far] = await open();
    far.close(true);
    await until(() => plain.closed, 'close');
    assert.ok(plain.error instanceof StreamError && plain.error.byPeer);
    assert.equal(plain.error.code, ErrorCode.CANCEL);

    for (const [code, isEnd] of [
      [ErrorCode.NO_ERROR, true],
      [ErrorCode.CANCEL, true],
      [ErrorCode.CONNECT_ERROR, false],
      [ErrorCode.INTERNAL_ERROR, false],
      [ErrorCode.STREAM_CLOSED, false],
    ] as const) {
      const [tunnel, end] = await open();
      tunnel.stream.cancelIsEnd = true;
      end.send(Buffer.from('last words'));
      end.resetCode = code;
      end.close(true);
      await until(() => tunnel.ended || tunnel.closed, 'end');
      assert.equal(tunnel.ended, isEnd, `${code}`);
      assert.equal(tunnel.bytes.toString(), 'last words');
      if (!isEnd) continue;
      assert.equal(tunnel.closed, false);
      assert.equal(tunnel.stream.send(Buffer.from('x')), false);
      await until(() => tunnel.closed, 'close');
      assert.ok(tunnel.error instanceof StreamError);
    }
    assert.equal(client.streamCount, 0);
  });

  test('close(false) before all is sent is a reset, not an end', async () => {
    const streams: Http2Stream[] = [];
    const { client } = lab((stream) => streams.push(stream), { settings: { streamWindow: 10 } });
    const stream = client.open(REQUEST, {});
    stream.resetCode = ErrorCode.CONNECT_ERROR;
    await until(() => streams.length === 1, 'request');
    const far = new Reader(streams[0] as Http2Stream);
    stream.send(Buffer.alloc(1000));
    stream.close(false);
    await until(() => far.closed, 'close');
    assert.equal(far.ended, false);
    assert.ok(far.error instanceof StreamError);
  });
});

suite('sessions', () => {
  test('windows that the peer changes while data waits', () => {
    const peer = new RawPeer('server');
    peer.write(peer.settings([Setting.INITIAL_WINDOW_SIZE, 10]), peer.connect(1));
    const [stream] = peer.requests;
    stream?.sendFields(OK);
    peer.seen();
    stream?.send(Buffer.alloc(100, 1));
    const lengths = (): number[] =>
      peer
        .seen()
        .filter(({ type }) => type === FrameType.DATA)
        .map(({ payload }) => payload.length);
    assert.deepEqual(lengths(), [10]);
    peer.write(peer.settings([Setting.INITIAL_WINDOW_SIZE, 5]));
    assert.deepEqual(lengths(), []);
    peer.write(frame(FrameType.WINDOW_UPDATE, 0, 1, u32(6)));
    assert.deepEqual(lengths(), [1]);
    peer.write(peer.settings([Setting.INITIAL_WINDOW_SIZE, 25]));
    assert.deepEqual(lengths(), [20]);
    stream?.end();
    peer.write(frame(FrameType.WINDOW_UPDATE, 0, 1, u32(1000)));
    assert.deepEqual(lengths(), [69, 0]);
  });

  test('padding counts for the windows and is given back', () => {
    const peer = new RawPeer('server', { settings: { streamWindow: 1000 } });
    peer.write(peer.connect(1));
    const reader = new Reader(peer.requests[0] as Http2Stream);
    for (let round = 0; round < 100; round++) {
      const payload = Buffer.concat([Buffer.from([200]), Buffer.from('ab'), Buffer.alloc(200)]);
      peer.write(frame(FrameType.DATA, 8, 1, payload));
    }
    assert.equal(reader.bytes.length, 200);
    const given = peer
      .seen()
      .filter(({ type, streamId }) => type === FrameType.WINDOW_UPDATE && streamId === 1)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    assert.ok(given > 100 * 203 - 1000, `${given}`);
  });

  test('the server drains: GOAWAY, PING, GOAWAY; what comes between is served', () => {
    const peer = new RawPeer('server');
    peer.write(peer.connect(1));
    peer.seen();
    peer.session.shutdown();
    const [first, ping] = peer.seen();
    assert.equal(first?.payload.readUInt32BE(0), 0x7fff_ffff);
    assert.equal(ping?.type, FrameType.PING);
    peer.write(peer.connect(3), frame(FrameType.PING, 1, 0, ping?.payload));
    const [last] = peer.seen();
    assert.equal(last?.type, FrameType.GOAWAY);
    assert.equal(last?.payload.readUInt32BE(0), 3);
    peer.write(peer.connect(5));
    assert.equal(peer.requests.length, 2);
    for (const stream of peer.requests) stream.close(true);
    assert.ok(peer.closed);
    assert.equal(peer.closedWith, undefined);
  });

  test('GOAWAY to a client: older streams go on, newer ones may be repeated, then the end', () => {
    const peer = new RawPeer('client');
    const errors: (Error | undefined)[] = [];
    const open = (): Http2Stream =>
      peer.session.open(REQUEST, { closed: (error) => errors.push(error) });
    const [first] = [open(), open()];
    peer.write(frame(FrameType.GOAWAY, 0, 0, u32(1, 0)));
    assert.equal(peer.session.usable, false);
    assert.equal(errors.length, 1);
    assert.ok(errors[0] instanceof StreamError && errors[0].unseen);
    assert.throws(open, StreamError);
    assert.equal(peer.closed, false);
    first.close(true);
    assert.ok(peer.closed);
  });

  test('a peer that answers no PING is given up; one that does is kept', async () => {
    const keepalive = { intervalMs: 10, timeoutMs: 30 };
    const good = lab(() => undefined, { keepalive });
    await sleep(100);
    assert.deepEqual(good.ends, {});
    good.links[0].pieceBytes = 0;
    const reader = new Reader(good.client.open(REQUEST, {}));
    await until(() => good.ends.client !== undefined, 'end');
    // either end may be the first to lose patience, and resets the link
    assert.match(`${good.ends.client} ${good.ends.server}`, /no answer to PING/);
    assert.ok(reader.error);
    good.server.close();
  });

  test('the end of the link ends the streams with an error, and is none without streams', async () => {
    const busy = lab((stream) => stream.sendFields(OK));
    const reader = new Reader(busy.client.open(REQUEST, {}));
    await until(() => reader.stream.answered, 'answer');
    busy.links[1].close(true);
    await until(() => reader.closed, 'close');
    assert.ok(reader.error && busy.ends.client instanceof Error);
    const idle = lab(() => undefined);
    await sleep(5);
    idle.links[1].end();
    await until(() => idle.ends.client !== undefined, 'end');
    assert.equal(idle.ends.client, 'orderly');
  });
});
