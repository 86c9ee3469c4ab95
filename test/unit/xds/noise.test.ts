/**
 * Noise for the readers of xDS that are not resources' decoders: the saved configuration, istiod's own configuration.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SharedMap } from '../../../src/model/shared-map.ts';
import {
  CacheFileError,
  readCacheFile,
  writeCacheFile,
} from '../../../src/xds/cache/cache-file.ts';
import { recordsOf, updateOf } from '../../../src/xds/cache/records.ts';
import { createCodec } from '../../../src/xds/codec.ts';
import { leftOutOf } from '../../../src/xds/istiod/left-out.ts';
import { SAMPLE_SNAPSHOT } from '../../support/sample-resources.ts';

const codec = createCodec();
const bytes = fc.uint8Array({ maxLength: 80 });

test('a saved configuration with anything else in it is refused as a whole', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-test-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'cache.bin');
  await writeCacheFile(path, 1, recordsOf(codec, SAMPLE_SNAPSHOT));
  const whole = await readFile(path);
  const damaged = fc.oneof(
    fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
      const copy = Buffer.from(whole);
      copy[at]! ^= bits;
      return copy;
    }),
    fc.nat(whole.length - 1).map((length) => whole.subarray(0, length)),
    bytes.filter(({ length }) => length > 0).map((more) => Buffer.concat([whole, more])),
    bytes.map((some) => Buffer.from(some)),
  );
  await fc.assert(
    fc.asyncProperty(damaged, async (content) => {
      await writeFile(path, content);
      await assert.rejects(readCacheFile(path), CacheFileError);
    }),
    { numRuns: 300 },
  );
});

test('records of noise under a right checksum are refused', async () => {
  const records = fc.array(fc.record({ type: fc.nat(255), bytes }), { minLength: 1 });
  fc.assert(
    fc.property(records, (found) => {
      try {
        updateOf(codec, found);
      } catch (error) {
        assert.ok(error instanceof CacheFileError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

test('what istiod says of itself is named, readable or not', () => {
  const kinds = ['VirtualService', 'DestinationRule', 'Sidecar', 'AuthorizationPolicy', 'New'];
  const object = fc.record({
    kind: fc.constantFrom(...kinds),
    namespace: fc.constantFrom('', 'shop'),
    name: fc.constantFrom('', 'a', '*'),
    annotations: fc.dictionary(
      fc.constantFrom('internal.istio.io/parents', 'istio.io/dry-run', 'a'),
      fc.constantFrom('', 'true', ',', 'HTTPRoute/a.shop', 'HTTPRoute/', '/.'),
    ),
    spec: bytes,
  });
  const services = SharedMap.empty<never>();
  fc.assert(
    fc.property(fc.array(object), (objects) => {
      for (const { reason, fix } of leftOutOf(objects, services, codec)) {
        assert.ok(reason !== '' && fix !== '');
      }
    }),
    { numRuns: 1000 },
  );
  const broken = Uint8Array.of(0x0a, 0xff);
  const rows = leftOutOf(
    [
      { kind: 'VirtualService', namespace: 'shop', name: 'a', annotations: {}, spec: broken },
      { kind: 'Sidecar', namespace: 'shop', name: 'b', annotations: {}, spec: broken },
    ],
    services,
    codec,
  );
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['b', 'a'],
  );
  assert.match(rows[1]!.reason, /^what istiod says of it cannot be read: /);
});
