/**
 * L7 resources to bytes and back; bytes that are broken, hostile or say more than podwire knows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createCodec } from '../../../src/xds/codec.ts';
import {
  RESOURCE_TYPES,
  RESOURCE_ORDER,
  type ResourceKey,
} from '../../../src/xds/resource-types.ts';
import { service, workload } from '../compile/plan-arbitraries.ts';
import { policy } from '../compile/policy-arbitraries.ts';
import {
  clusterArbitrary,
  listener,
  loadAssignment,
  routeConfiguration,
  secret,
} from './l7-arbitraries.ts';

const codec = createCodec();
const RUNS = 300;

const ARBITRARIES: Readonly<Record<ResourceKey, fc.Arbitrary<unknown>>> = {
  addresses: fc.oneof(
    workload.map((value) => ({ kind: 'workload', workload: value })),
    service.map((value) => ({ kind: 'service', service: value })),
  ),
  authorizations: policy,
  secrets: secret,
  clusters: clusterArbitrary,
  loadAssignments: loadAssignment,
  routes: routeConfiguration,
  listeners: listener,
};

const encode = (key: ResourceKey, value: unknown): Uint8Array =>
  RESOURCE_TYPES[key].encode(codec, value as never);
const decode = (key: ResourceKey, bytes: Uint8Array) => RESOURCE_TYPES[key].decode(codec, bytes);

for (const key of RESOURCE_ORDER) {
  test(`${key} survive the wire, and nothing of ours is unknown to us`, () => {
    fc.assert(
      fc.property(ARBITRARIES[key], (value) => {
        assert.deepEqual(decode(key, encode(key, value)), { ok: true, value, warnings: [] });
      }),
      { numRuns: RUNS },
    );
  });
}
