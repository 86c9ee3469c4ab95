/** What a server answers to peers that break RFC 9113, or try what the RFC allows too often. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { ErrorCode } from '../../../src/http2/error.ts';
import { Flag, FrameType, PREFACE, Setting } from '../../../src/http2/frame.ts';
import { frame, RawPeer, u32 } from './raw-peer.ts';

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING } = FrameType;
const { GOAWAY, WINDOW_UPDATE, CONTINUATION } = FrameType;
const REQUEST = [':method', 'CONNECT', ':authority', '10.0.0.1:80'];
const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];

type Bytes = (peer: RawPeer) => Buffer;
const nothing = Buffer.alloc(0);

suite('connection errors', () => {
  const cases: Readonly<Record<string, [keyof typeof ErrorCode, Bytes]>> = {
    'DATA on stream 0': ['PROTOCOL_ERROR', () => frame(DATA, 0, 0)],
    'DATA on an idle stream': ['PROTOCOL_ERROR', () => frame(DATA, 0, 1, Buffer.from('x'))],
    'DATA padded without a pad length': [
      'FRAME_SIZE_ERROR',
      (peer) => Buffer.concat([peer.connect(1), frame(DATA, Flag.PADDED, 1)]),
    ],
    'DATA with more padding than payload': [
      'PROTOCOL_ERROR',
      (peer) => Buffer.concat([peer.connect(1), frame(DATA, Flag.PADDED, 1, Buffer.from([9, 1]))]),
    ],
    'a frame over the announced size': [
      'FRAME_SIZE_ERROR',
      (peer) => Buffer.concat([peer.connect(1), frame(DATA, 0, 1, Buffer.alloc(80_000))]),
    ],
    'HEADERS on stream 0': ['PROTOCOL_ERROR', (peer) => peer.headers(0, REQUEST)],
    'HEADERS on an even stream': ['PROTOCOL_ERROR', (peer) => peer.headers(2, REQUEST)],
    'HEADERS on an older idle stream': [
      'STREAM_CLOSED',
      (peer) => Buffer.concat([peer.connect(5), peer.connect(3)]),
    ],
    'HEADERS padded beyond its end': [
      'PROTOCOL_ERROR',
      () => frame(HEADERS, Flag.PADDED | Flag.END_HEADERS, 1, Buffer.from([9, 0x82])),
    ],
    'HEADERS shorter than its priority': [
      'PROTOCOL_ERROR',
      () => frame(HEADERS, Flag.PRIORITY | Flag.END_HEADERS, 1, Buffer.from([0, 0])),
    ],
    'a block that is no HPACK': [
      'COMPRESSION_ERROR',
      () => frame(HEADERS, Flag.END_HEADERS, 1, Buffer.from([0x80])),
    ],
    'another frame inside a header block': [
      'PROTOCOL_ERROR',
      () => Buffer.concat([frame(HEADERS, 0, 1, nothing), frame(PING, 0, 0, Buffer.alloc(8))]),
    ],
    'CONTINUATION of another stream': [
      'PROTOCOL_ERROR',
      () => Buffer.concat([frame(HEADERS, 0, 1), frame(CONTINUATION, 4, 3)]),
    ],
    'CONTINUATION without HEADERS': ['PROTOCOL_ERROR', () => frame(CONTINUATION, 4, 1)],
    'an unknown frame inside a header block': [
      'PROTOCOL_ERROR',
      () => Buffer.concat([frame(HEADERS, 0, 1), frame(0x42, 0, 1)]),
    ],
    'PRIORITY on stream 0': ['PROTOCOL_ERROR', () => frame(PRIORITY, 0, 0, Buffer.alloc(5))],
    'PRIORITY of 4 bytes': ['FRAME_SIZE_ERROR', () => frame(PRIORITY, 0, 1, Buffer.alloc(4))],
    'RST_STREAM on stream 0': ['PROTOCOL_ERROR', () => frame(RST_STREAM, 0, 0, u32(8))],
    'RST_STREAM on an idle stream': ['PROTOCOL_ERROR', () => frame(RST_STREAM, 0, 1, u32(8))],
    'RST_STREAM of 3 bytes': ['FRAME_SIZE_ERROR', () => frame(RST_STREAM, 0, 1, Buffer.alloc(3))],
    'SETTINGS on a stream': ['PROTOCOL_ERROR', () => frame(SETTINGS, 0, 1)],
    'SETTINGS of 5 bytes': ['FRAME_SIZE_ERROR', () => frame(SETTINGS, 0, 0, Buffer.alloc(5))],
    'SETTINGS ACK with a payload': [
      'FRAME_SIZE_ERROR',
      () => frame(SETTINGS, Flag.ACK, 0, Buffer.alloc(6)),
    ],
    'ENABLE_PUSH 2': ['PROTOCOL_ERROR', (peer) => peer.settings([Setting.ENABLE_PUSH, 2])],
    'INITIAL_WINDOW_SIZE 2^31': [
      'FLOW_CONTROL_ERROR',
      (peer) => peer.settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31]),
    ],
    'MAX_FRAME_SIZE 16383': [
      'PROTOCOL_ERROR',
      (peer) => peer.settings([Setting.MAX_FRAME_SIZE, 16_383]),
    ],
    'MAX_FRAME_SIZE 2^24': [
      'PROTOCOL_ERROR',
      (peer) => peer.settings([Setting.MAX_FRAME_SIZE, 2 ** 24]),
    ],
    'an initial window that lifts a stream over 2^31': [
      'FLOW_CONTROL_ERROR',
      (peer) =>
        Buffer.concat([
          peer.connect(1),
          frame(WINDOW_UPDATE, 0, 1, u32(0x7fff_ffff - 65_535)),
          peer.settings([Setting.INITIAL_WINDOW_SIZE, 65_536]),
        ]),
    ],
    PUSH_PROMISE: ['PROTOCOL_ERROR', () => frame(PUSH_PROMISE, 4, 1, u32(2))],
    'PING on a stream': ['PROTOCOL_ERROR', () => frame(PING, 0, 1, Buffer.alloc(8))],
    'PING of 6 bytes': ['FRAME_SIZE_ERROR', () => frame(PING, 0, 0, Buffer.alloc(6))],
    'GOAWAY on a stream': ['PROTOCOL_ERROR', () => frame(GOAWAY, 0, 1, u32(0, 0))],
    'GOAWAY of 4 bytes': ['FRAME_SIZE_ERROR', () => frame(GOAWAY, 0, 0, u32(0))],
    'WINDOW_UPDATE of 0': ['PROTOCOL_ERROR', () => frame(WINDOW_UPDATE, 0, 0, u32(0))],
    'WINDOW_UPDATE of 3 bytes': [
      'FRAME_SIZE_ERROR',
      () => frame(WINDOW_UPDATE, 0, 0, Buffer.alloc(3)),
    ],
    'WINDOW_UPDATE on an idle stream': ['PROTOCOL_ERROR', () => frame(WINDOW_UPDATE, 0, 1, u32(1))],
    'a connection window over 2^31': [
      'FLOW_CONTROL_ERROR',
      () => frame(WINDOW_UPDATE, 0, 0, u32(0x7fff_ffff)),
    ],
    'DATA over the connection window': [
      'FLOW_CONTROL_ERROR',
      // what has come is given back, so only one frame can be too much
      (peer) => Buffer.concat([peer.connect(1), frame(DATA, 0, 1, Buffer.alloc(70_000))]),
    ],
  };
  for (const [name, [code, bytes]] of Object.entries(cases)) {
    test(`${name}: ${code}`, () => {
      const settings = { maxFrameSize: 70_000, connectionWindow: 65_536, streamWindow: 1 << 20 };
      const peer = new RawPeer('server', { settings });
      peer.write(bytes(peer));
      assert.equal(peer.goaway(), ErrorCode[code]);
      assert.ok(peer.closed && peer.link.ended);
      /* Nothing more is read. */
      peer.write(peer.connect(101));
      assert.deepEqual(peer.seen(), []);
    });
  }

  test('no preface, another protocol, SETTINGS that is not first', () => {
    const first: readonly Buffer[] = [
      Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      Buffer.concat([PREFACE, frame(PING, 0, 0, Buffer.alloc(8))]),
      Buffer.concat([PREFACE, frame(SETTINGS, Flag.ACK, 0)]),
    ];
    for (const bytes of first) {
      const peer = new RawPeer('server', { hello: false });
      peer.write(bytes);
      assert.equal(peer.goaway(), ErrorCode.PROTOCOL_ERROR);
    }
  });

  test('a client refuses pushes, requests and data before a response', () => {
    const cases: readonly [Bytes, number][] = [
      [() => frame(PUSH_PROMISE, 4, 1, u32(2)), ErrorCode.PROTOCOL_ERROR],
      [(peer) => peer.headers(2, GET), ErrorCode.PROTOCOL_ERROR],
      [(peer) => peer.settings([Setting.ENABLE_PUSH, 1]), ErrorCode.PROTOCOL_ERROR],
    ];
    for (const [bytes, code] of cases) {
      const peer = new RawPeer('client');
      peer.session.open(REQUEST, {});
      peer.write(bytes(peer));
      assert.equal(peer.goaway(), code);
    }
    const peer = new RawPeer('client');
    peer.session.open(REQUEST, {});
    peer.write(frame(DATA, 0, 1, Buffer.from('x')));
    assert.deepEqual(peer.resets(), [[1, ErrorCode.PROTOCOL_ERROR]]);
  });
});

suite('stream errors', () => {
  const malformed: Readonly<Record<string, readonly string[]>> = {
    'CONNECT with :path': [...REQUEST, ':path', '/'],
    'CONNECT with :scheme': [...REQUEST, ':scheme', 'https'],
    'CONNECT without :authority': [':method', 'CONNECT'],
    'no :method': [':scheme', 'http', ':path', '/'],
    'no :path': [':method', 'GET', ':scheme', 'http'],
    'an empty :path': [':method', 'GET', ':scheme', 'http', ':path', ''],
    'an unknown pseudo field': [...REQUEST, ':protocol', 'websocket'],
    'a response field': [...REQUEST, ':status', '200'],
    'a pseudo field twice': [...REQUEST, ':authority', 'b:1'],
    'a pseudo field after others': ['a', 'b', ...REQUEST],
    'a name in upper case': [...REQUEST, 'Baggage', 'x'],
    'an empty name': [...REQUEST, '', 'x'],
    'a name with a blank': [...REQUEST, 'a b', 'x'],
    'a value with a line feed': [...REQUEST, 'a', 'x\ny'],
    'a value with NUL': [...REQUEST, 'a', 'x\0'],
    'a value that begins with a blank': [...REQUEST, 'a', ' x'],
    'a field of a connection': [...REQUEST, 'connection', 'close'],
    'te other than trailers': [...REQUEST, 'te', 'gzip'],
  };
  for (const [name, fields] of Object.entries(malformed)) {
    test(`${name}: PROTOCOL_ERROR`, () => {
      const peer = new RawPeer('server');
      peer.write(peer.headers(1, fields), peer.connect(3));
      assert.deepEqual(peer.resets(), [[1, ErrorCode.PROTOCOL_ERROR]]);
      assert.equal(peer.requests.length, 1);
      assert.equal(peer.requests[0]?.id, 3);
    });
  }

  test('DATA and HEADERS after END_STREAM, WINDOW_UPDATE games, trailers without an end', () => {
    const cases: readonly [Bytes, number][] = [
      [() => frame(DATA, 0, 1, Buffer.from('x')), ErrorCode.STREAM_CLOSED],
      [(peer) => peer.headers(1, ['a', 'b'], 5), ErrorCode.STREAM_CLOSED],
      [() => frame(WINDOW_UPDATE, 0, 1, u32(0)), ErrorCode.PROTOCOL_ERROR],
      [() => frame(WINDOW_UPDATE, 0, 1, u32(0x7fff_ffff)), ErrorCode.FLOW_CONTROL_ERROR],
    ];
    for (const [bytes, code] of cases) {
      const peer = new RawPeer('server');
      peer.write(peer.headers(1, REQUEST, 5), bytes(peer));
      assert.deepEqual(peer.resets(), [[1, code]]);
      assert.equal(peer.closed, false);
    }
    const peer = new RawPeer('server');
    peer.write(peer.connect(1), peer.headers(1, ['a', 'b']));
    assert.deepEqual(peer.resets(), [[1, ErrorCode.PROTOCOL_ERROR]]);
  });

  test('DATA over the window of its stream', () => {
    const peer = new RawPeer('server', { settings: { streamWindow: 10 } });
    peer.write(peer.connect(1), frame(DATA, 0, 1, Buffer.alloc(11)));
    assert.deepEqual(peer.resets(), [[1, ErrorCode.FLOW_CONTROL_ERROR]]);
  });

  test('streams over the limit are refused, and a closed one makes room', () => {
    const peer = new RawPeer('server', { settings: { maxConcurrentStreams: 2 } });
    peer.write(peer.connect(1), peer.connect(3), peer.connect(5));
    assert.deepEqual(peer.resets(), [[5, ErrorCode.REFUSED_STREAM]]);
    peer.write(frame(RST_STREAM, 0, 1, u32(8)), peer.connect(7));
    assert.deepEqual(peer.resets(), []);
    assert.equal(peer.requests.length, 3);
  });

  test('frames on streams that we have reset are ignored; on others they are answered', () => {
    const peer = new RawPeer('server');
    peer.write(peer.connect(1), peer.connect(3));
    peer.requests[0]?.close(true);
    peer.seen();
    peer.write(frame(DATA, 0, 1, Buffer.from('x')), peer.headers(1, ['a', 'b'], 5));
    assert.deepEqual(peer.resets(), []);
    peer.write(frame(RST_STREAM, 0, 3, u32(8)), frame(DATA, 0, 3, Buffer.from('x')));
    assert.deepEqual(peer.resets(), [[3, ErrorCode.STREAM_CLOSED]]);
  });

  test('too many or too large fields: 431, and the next request is read', () => {
    const peer = new RawPeer('server', { settings: { maxHeaderListSize: 2000 } });
    peer.write(
      peer.headers(1, [...REQUEST, 'a', 'x'.repeat(1900)]),
      peer.headers(3, [...REQUEST, 'b', 'y']),
    );
    const [response, reset] = peer.seen().filter(({ streamId }) => streamId === 1);
    assert.deepEqual(response?.fields, [':status', '431']);
    assert.equal(reset?.type, RST_STREAM);
    assert.equal(peer.requests[0]?.id, 3);
  });
});

suite('floods end with ENHANCE_YOUR_CALM', () => {
  const floods: Readonly<Record<string, [number, (peer: RawPeer, index: number) => Buffer]>> = {
    PING: [20_000, () => frame(PING, 0, 0, Buffer.alloc(8))],
    SETTINGS: [2000, (peer) => peer.settings()],
    PRIORITY: [20_000, () => frame(PRIORITY, 0, 1, Buffer.alloc(5))],
    'unknown frames': [20_000, () => frame(0x99, 0, 0)],
    'empty DATA': [20_000, () => frame(DATA, 0, 1)],
    'rapid reset': [
      1000,
      (peer, index) =>
        Buffer.concat([peer.connect(3 + 2 * index), frame(RST_STREAM, 0, 3 + 2 * index, u32(8))]),
    ],
    'requests that are malformed': [
      1000,
      (peer, index) => peer.headers(3 + 2 * index, [':method', 'CONNECT']),
    ],
    'requests beyond the limit of streams': [1000, (peer, index) => peer.connect(3 + 2 * index)],
    'resets that we are made to send': [
      1000,
      (peer, index) =>
        Buffer.concat([
          peer.connect(3 + 2 * index),
          frame(WINDOW_UPDATE, 0, 3 + 2 * index, u32(0)),
        ]),
    ],
  };
  for (const [name, [count, bytes]] of Object.entries(floods)) {
    test(name, () => {
      const peer = new RawPeer('server');
      peer.write(peer.connect(1));
      for (let index = 0; index < count && !peer.closed; index++) peer.write(bytes(peer, index));
      assert.equal(peer.goaway(), ErrorCode.ENHANCE_YOUR_CALM);
    });
  }

  test('CONTINUATION without end, and header blocks without end', () => {
    for (const piece of [nothing, Buffer.alloc(1), Buffer.alloc(16_000)]) {
      const peer = new RawPeer('server');
      peer.write(frame(HEADERS, 0, 1, Buffer.from([0x82])));
      for (let index = 0; index < 100 && !peer.closed; index++)
        peer.write(frame(CONTINUATION, 0, 1, piece));
      assert.equal(peer.goaway(), ErrorCode.ENHANCE_YOUR_CALM);
    }
  });

  test('answers that nobody reads', async () => {
    const peer = new RawPeer('server');
    const { link } = peer;
    const send = link.send.bind(link);
    link.send = (chunk) => {
      send(chunk);
      return false;
    };
    for (let index = 0; index < 9000 && !peer.closed; index++)
      peer.write(...Array.from({ length: 2 }, () => frame(PING, 0, 0, Buffer.alloc(8))));
    await new Promise(setImmediate);
    assert.equal(peer.goaway(), ErrorCode.ENHANCE_YOUR_CALM);
  });

  test('resets after the answer are free: applications end connections so', () => {
    const peer = new RawPeer('server');
    for (let id = 1; id < 40_000 && !peer.closed; id += 2) {
      peer.write(peer.connect(id));
      peer.requests.pop()?.sendFields([':status', '200']);
      peer.write(frame(RST_STREAM, 0, id, u32(10)));
      peer.link.sent.length = 0;
    }
    assert.equal(peer.closed, false);
    assert.equal(peer.session.streamCount, 0);
  });
});
