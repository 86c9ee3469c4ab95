/**
 * Responses put together by hand, read by a protobuf library.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCodec, type DeltaResponse, type SotwResponse } from '../../../src/xds/codec.ts';
import {
  deltaResponse,
  frameOf,
  frameUnder,
  sotwBytes,
  sotwResponse,
} from '../../../src/xds/server/frames.ts';

const { discovery } = createCodec();
const readDelta = discovery['DeltaAggregatedResources']!.responseDeserialize as (
  b: Buffer,
) => DeltaResponse;
const readSotw = discovery['StreamAggregatedResources']!.responseDeserialize as (
  b: Buffer,
) => SotwResponse;

const text = fc.string({ unit: 'grapheme', maxLength: 300 });
const head = fc.record({ version: text, typeUrl: text, nonce: text });
const resource = fc.record({
  name: text,
  content: fc.uint8Array({ maxLength: 20_000, size: 'max' }),
});

test('both responses say what was put in', () => {
  fc.assert(
    fc.property(
      head,
      fc.array(resource, { maxLength: 6 }),
      fc.array(text, { maxLength: 5 }),
      (top, list, removed) => {
        const frames = list.map(({ name, content }) => frameOf(top.typeUrl, name, content));
        const delta = readDelta(
          deltaResponse(
            top,
            frames.map((frame) => frame.delta),
            removed,
          ),
        );
        assert.deepEqual(
          [delta.system_version_info, delta.type_url, delta.nonce, delta.removed_resources],
          [top.version, top.typeUrl, top.nonce, removed],
        );
        const sotw = readSotw(sotwResponse(top, frames.map(sotwBytes)));
        assert.deepEqual(
          [sotw.version_info, sotw.type_url, sotw.nonce],
          [top.version, top.typeUrl, top.nonce],
        );
        assert.equal(delta.resources.length, list.length);
        for (const [index, { name, content }] of list.entries()) {
          const one = delta.resources[index]!;
          assert.deepEqual(
            [one.name, one.version, one.aliases],
            [name, frames[index]!.version, []],
          );
          for (const any of [one.resource!, sotw.resources[index]!]) {
            assert.equal(any.type_url, top.typeUrl);
            assert.ok(Buffer.from(content).equals(any.value));
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('another name leaves version and content as they are', () => {
  const frame = frameOf('type', 'name', Buffer.from('content'));
  const alias = frameUnder('/10.0.0.1', frame);
  const { resources } = readDelta(
    deltaResponse({ version: '', typeUrl: '', nonce: '' }, [alias.delta], []),
  );
  assert.deepEqual(
    resources.map(({ name, version, resource: any }) => [name, version, String(any?.value)]),
    [['/10.0.0.1', frame.version, 'content']],
  );
  assert.ok(sotwBytes(alias).equals(sotwBytes(frame)));
});

test('versions tell contents and types apart, and nothing else', () => {
  const version = (type: string, name: string, content: string): string =>
    frameOf(type, name, Buffer.from(content)).version;
  assert.equal(version('t', 'a', 'x'), version('t', 'b', 'x'));
  assert.notEqual(version('t', 'a', 'x'), version('t', 'a', 'y'));
  assert.notEqual(version('t', 'a', 'x'), version('u', 'a', 'x'));
});
