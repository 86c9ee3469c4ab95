/** The frame reader: every split of the bytes gives the same frames, and noise gives frames or a ConnectionError. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnectionError } from '../../../src/http2/error.ts';
import { FrameReader, type FrameSink } from '../../../src/http2/frame-reader.ts';
import { FrameType, headersFrames, PREFACE } from '../../../src/http2/frame.ts';
import { frame, RawPeer } from './raw-peer.ts';

/** What a reader hands on, with the pieces of DATA put together. */
function trace(chunks: readonly Buffer[], preface = true): string[] {
  const seen: string[] = [];
  let data = '';
  const sink: FrameSink = {
    dataBegin: (id, length) => {
      data = `data ${id} ${length} `;
    },
    data: (chunk) => {
      data += chunk.toString('hex');
    },
    dataEnd: (end) => seen.push(`${data} ${end}`),
    headers: (id, end, block) => seen.push(`headers ${id} ${end} ${block.toString('hex')}`),
    frame: (type, flags, id, payload) =>
      seen.push(`frame ${type} ${flags} ${id} ${payload.toString('hex')}`),
    skipped: () => seen.push('skipped'),
  };
  const reader = new FrameReader({ sink, maxFrameSize: 16_384, maxHeaderBlock: 4096, preface });
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    reader.push(lent);
    lent.fill(0xee);
  }
  return seen;
}

const CONVERSATION = Buffer.concat([
  PREFACE,
  frame(FrameType.SETTINGS, 0, 0, Buffer.from('000300000064', 'hex')),
  headersFrames(1, Buffer.from('0123456789'.repeat(5)), false, 16),
  frame(FrameType.DATA, 8, 1, Buffer.from('03616263000000', 'hex')),
  frame(FrameType.DATA, 0, 1),
  frame(FrameType.DATA, 9, 1, Buffer.from('00', 'hex')),
  frame(FrameType.DATA, 9, 1, Buffer.from('020000', 'hex')),
  frame(0x77, 0xff, 9, Buffer.alloc(20)),
  frame(FrameType.HEADERS, 0x2d, 3, Buffer.from('020000000110828400000000'.slice(0, 20), 'hex')),
  frame(FrameType.PING, 0, 0, Buffer.from('0102030405060708', 'hex')),
  frame(FrameType.WINDOW_UPDATE, 0, 1, Buffer.from('80000001', 'hex')),
  frame(FrameType.RST_STREAM, 0, 1, Buffer.from('00000008', 'hex')),
  frame(FrameType.GOAWAY, 0, 0, Buffer.from('000000010000000061', 'hex')),
]);

test('the same frames, wherever the bytes are split', () => {
  const whole = trace([CONVERSATION]);
  assert.equal(whole.length, 13 - 1);
  for (let at = 0; at <= CONVERSATION.length; at++) {
    const split = [CONVERSATION.subarray(0, at), CONVERSATION.subarray(at)];
    assert.deepEqual(trace(split), whole, `split at ${at}`);
  }
  const bytes = Array.from(CONVERSATION, (byte) => Buffer.from([byte]));
  assert.deepEqual(trace(bytes), whole);
});

const head = fc
  .tuple(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 255 }),
    fc.integer({ min: 0, max: 5 }),
    fc.uint8Array({ minLength: 0, maxLength: 40 }),
  )
  .map(([length, type, flags, id, payload]) =>
    frame(type, flags, id, Buffer.concat([payload, Buffer.alloc(40)]).subarray(0, length)),
  );

test('noise in the form of frames: the same result in one piece and in many, or an error', () => {
  fc.assert(
    fc.property(fc.array(head, { maxLength: 12 }), fc.array(fc.nat(60)), (frames, cuts) => {
      const bytes = Buffer.concat([frame(FrameType.SETTINGS, 0, 0), ...frames]);
      const pieces: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      pieces.push(bytes.subarray(Math.min(at, bytes.length)));
      const run = (chunks: readonly Buffer[]): string[] | string => {
        try {
          return trace(chunks, false);
        } catch (error) {
          assert.ok(error instanceof ConnectionError, String(error));
          return error.message;
        }
      };
      assert.deepEqual(run(pieces), run([bytes]));
    }),
    { numRuns: 3000 },
  );
});

test('noise to a session: it goes on, or ends with GOAWAY; it never throws', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('client' as const, 'server' as const),
      fc.array(fc.oneof(head, fc.uint8Array({ maxLength: 30 })), { maxLength: 20 }),
      (role, chunks) => {
        const peer = new RawPeer(role);
        if (role === 'client') peer.session.open([':method', 'CONNECT', ':authority', 'a:1'], {});
        else peer.write(peer.connect(1));
        for (const chunk of chunks) peer.write(Buffer.from(chunk));
        if (peer.closedWith) assert.notEqual(peer.goaway(), undefined);
      },
    ),
    { numRuns: 2000 },
  );
});
