/**
 * What a control plane is called: its identifier is written by the server, so it may be anything.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { controlPlaneName, isIstiod } from '../../../../src/xds/client/control-plane-name.ts';

test('istiod says its version in JSON, others say what they like', () => {
  const identifier = '{"Component":"istiod","ID":"istiod-1","Info":{"version":"1.25.0"}}';
  assert.equal(controlPlaneName(identifier), 'istiod 1.25.0');
  assert.equal(controlPlaneName('{"Component":"istiod","Info":null}'), 'istiod');
  assert.equal(controlPlaneName('go-control-plane'), 'go-control-plane');
  assert.equal(controlPlaneName('{"Component":'), '{"Component":');
  assert.deepEqual(['istiod', 'istiod 1.25.0', 'istiodish', ''].map(isIstiod), [
    true,
    true,
    false,
    false,
  ]);
});

test('whatever is sent, the name is short', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 500 }), fc.json()), (identifier) => {
      assert.ok(controlPlaneName(identifier).length <= 80);
    }),
  );
});
