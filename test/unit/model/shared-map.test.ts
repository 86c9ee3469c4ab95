import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SharedMap } from '../../../src/model/shared-map.ts';

const edit = fc.record({
  key: fc.integer({ min: 0, max: 2000 }).map(String),
  value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
});
const batch = fc.array(edit, { maxLength: 40 });

test('versions behave like copies of a Map, and tell what changed between them', () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 6 }), (batches) => {
      let shared = SharedMap.empty<number>();
      let plain = new Map<string, number>();
      for (const edits of batches) {
        const before = { shared, plain };
        const editor = shared.edit();
        plain = new Map(plain);
        for (const { key, value } of edits) {
          if (value === undefined) assert.equal(editor.delete(key), plain.delete(key));
          else {
            editor.set(key, value);
            plain.set(key, value);
          }
          assert.equal(editor.get(key), plain.get(key));
        }
        shared = editor.done();
        assert.deepEqual(new Map(shared), plain);
        assert.equal(shared.size, plain.size);
        assert.deepEqual(new Map(before.shared), before.plain);
        const keys = new Set([...plain.keys(), ...before.plain.keys()]);
        const changed = [...keys].filter((key) => plain.get(key) !== before.plain.get(key));
        assert.deepEqual(shared.changedSince(before.shared).sort(), changed.sort());
      }
    }),
  );
});

test('no edit gives the same version, and an editor goes on after done', () => {
  const map = SharedMap.from([['a', 1]]);
  const editor = map.edit();
  editor.set('a', 1);
  assert.equal(editor.delete('b'), false);
  assert.equal(editor.done(), map);
  editor.set('b', 2);
  const next = editor.done();
  assert.equal(next.size, 2);
  assert.equal(editor.done(), next);
  editor.set('c', 3);
  assert.equal(next.has('c'), false);
});
