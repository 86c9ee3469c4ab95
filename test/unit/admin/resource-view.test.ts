import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configDump } from '../../../src/admin/config-dump.ts';
import { RESOURCE_KINDS, resourcesView } from '../../../src/admin/resource-view.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  type ResourceType,
} from '../../../src/xds/resource-types.ts';
import {
  DB_UID,
  PRIVATE_KEY,
  SAMPLE_MESH,
  SAMPLE_SNAPSHOT,
} from '../../support/sample-resources.ts';

test('the view has every type of the wire, under the names of the wire', () => {
  assert.deepEqual(RESOURCE_KINDS, RESOURCE_ORDER);
  const { types } = resourcesView(SAMPLE_SNAPSHOT);
  for (const key of RESOURCE_ORDER) {
    const type = RESOURCE_TYPES[key] as ResourceType;
    const nameOf = (resource: unknown) => type.nameOf(resource as never);
    assert.deepEqual(
      types[key]?.map(({ name }) => name).sort(),
      SAMPLE_MESH[key].upserts.map((one) => nameOf(one)).sort(),
      key,
    );
  }
});

test('one type alone', () => {
  const { types } = resourcesView(SAMPLE_SNAPSHOT, 'clusters');
  assert.deepEqual(Object.keys(types), ['clusters']);
});

test('maps are objects and bytes are text: JSON has all of it', () => {
  const { types } = resourcesView(SAMPLE_SNAPSHOT);
  const again = JSON.parse(JSON.stringify(types)) as typeof types;
  const workload = again.addresses?.find(({ name }) => name === DB_UID)?.resource as {
    workload: { services: Record<string, unknown> };
  };
  assert.deepEqual(Object.keys(workload.workload.services), ['shop/db.shop.svc.cluster.local']);
  assert.match(JSON.stringify(again.routes), /"body":"AQID"/);
});

test('private keys are in neither the resources nor the dump, their certificates are', () => {
  const dump = configDump({
    snapshot: SAMPLE_SNAPSHOT,
    version: '',
    config: {},
    pods: [],
    certificates: [],
  });
  for (const shown of [resourcesView(SAMPLE_SNAPSHOT), dump]) {
    const text = JSON.stringify(shown);
    assert.ok(!text.includes(PRIVATE_KEY));
    assert.match(text, /"key":"<redacted>"/);
    assert.match(text, /BEGIN CERTIFICATE/);
  }
});

test("the dump keeps ztunnel's keys and has the L7 types beside them", () => {
  const dump = configDump({
    snapshot: SAMPLE_SNAPSHOT,
    version: '',
    config: {},
    pods: [],
    certificates: [],
  });
  for (const key of ['workloads', 'services', 'policies', 'stagedServices', 'workloadState']) {
    assert.ok(key in dump, key);
  }
  for (const key of ['listeners', 'routes', 'clusters', 'loadAssignments', 'secrets'] as const) {
    assert.equal((dump[key] as unknown[]).length, SAMPLE_MESH[key].upserts.length, key);
  }
});
