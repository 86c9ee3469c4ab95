/**
 * Numbers are stable, unique and never given out twice.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SharedMap } from '../../../src/model/shared-map.ts';
import {
  assignNumbers,
  emptyNumberTable,
  keyOf,
  numberOf,
  numberTableFromJson,
  numberTableToJson,
  pruneNumbers,
} from '../../../src/compile/kernel/number-table.ts';

test('a number belongs to one key for good, whatever is pruned and added', () => {
  const step = fc.record({
    add: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e')),
    keep: fc.constantFrom('a', 'ab', 'abc', 'abcde'),
  });
  fc.assert(
    fc.property(fc.array(step), (series) => {
      let table = emptyNumberTable();
      const owners = new Map<number, string>();
      for (const { add, keep } of series) {
        const before = table;
        table = assignNumbers(table, add);
        for (const [key, number] of before.byKey) assert.equal(numberOf(table, key), number);
        for (const [key, number] of table.byKey) {
          assert.ok(number > 0);
          if (!before.byKey.has(key)) assert.ok(!owners.has(number), 'given out before');
          owners.set(number, key);
          assert.equal(keyOf(table, number), key);
        }
        table = pruneNumbers(table, (key) => keep.includes(key));
      }
    }),
  );
});

test('after the last number the first free one', () => {
  const used = { version: 1, next: 0xffffffff, numbers: { a: 1, b: 2 } };
  const table = assignNumbers(numberTableFromJson(used)!, ['c', 'd']);
  assert.deepEqual([numberOf(table, 'c'), numberOf(table, 'd')], [0xffffffff, 3]);
});

test('saved and read again it is the same table', () => {
  const table = pruneNumbers(assignNumbers(emptyNumberTable(), ['a', 'b', 'c']), (k) => k !== 'c');
  const json = JSON.parse(JSON.stringify(numberTableToJson(table))) as unknown;
  const again = numberTableFromJson(json)!;
  assert.equal(again.next, 4);
  assert.deepEqual(
    new Map(again.byKey),
    new Map([
      ['a', 1],
      ['b', 2],
    ]),
  );
  assert.equal(keyOf(again, 2), 'b');
});

const damaged: [string, unknown][] = [
  ['nothing', undefined],
  ['another version', { version: 2, next: 1, numbers: {} }],
  ['no next', { version: 1, numbers: {} }],
  ['one number for two names', { version: 1, next: 5, numbers: { a: 1, b: 1 } }],
  ['the number that means none', { version: 1, next: 5, numbers: { a: 0 } }],
  ['a number beyond 32 bits', { version: 1, next: 5, numbers: { a: 2 ** 32 } }],
];

for (const [name, json] of damaged) {
  test(`a damaged table is refused: ${name}`, () => {
    assert.equal(numberTableFromJson(json), undefined);
  });
}

test('a table that does not change stays the same object', () => {
  const table = assignNumbers(emptyNumberTable(), ['a']);
  assert.equal(assignNumbers(table, ['a']), table);
  assert.equal(
    pruneNumbers(table, () => true),
    table,
  );
  assert.ok(table.byKey instanceof SharedMap);
});
