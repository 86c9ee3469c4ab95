import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { formatNumber, formatRatio } from '../../bench/format.ts';
import { isEqual, median, ratioOf, spreadOf } from '../../bench/statistics.ts';

const rounds = fc.array(
  fc.tuple(
    fc.double({ min: 0.1, max: 1e6, noNaN: true }),
    fc.double({ min: 0.1, max: 1e6, noNaN: true }),
  ),
  { minLength: 1, maxLength: 15 },
);

suite('statistics of rounds', () => {
  test('the median is the middle, or between the two in the middle', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 3, 2]), 2.5);
    assert.throws(() => median([]), RangeError);
  });

  test('the spread is the lowest and the highest round', () => {
    assert.deepEqual(spreadOf([3, 1, 2]), [1, 3]);
    assert.throws(() => spreadOf([]), RangeError);
  });

  test('a ratio compares the same rounds, so that a slow machine cancels out', () => {
    assert.deepEqual(ratioOf([5, 50, 6], [10, 100, 12]), { value: 0.5, spread: [0.5, 0.5] });
  });

  test('there is no ratio to nothing', () => {
    assert.equal(ratioOf([1, 2], [0, 0]), undefined);
    assert.equal(ratioOf([1, 2], [1]), undefined);
    assert.equal(ratioOf([], []), undefined);
  });

  test('the value of a ratio lies within its spread', () => {
    fc.assert(
      fc.property(rounds, (pairs) => {
        const ratio = ratioOf(
          pairs.map(([a]) => a),
          pairs.map(([, b]) => b),
        );
        assert.ok(ratio);
        // Even numbers of rounds average two values, which rounding may push past the edge.
        assert.ok(ratio.value >= ratio.spread[0] * 0.999999);
        assert.ok(ratio.value <= ratio.spread[1] * 1.000001);
      }),
    );
  });

  test('what the rounds do not agree on is equal', () => {
    assert.ok(isEqual([0.9, 1.2]));
    assert.ok(isEqual([1, 1.3]));
    assert.ok(!isEqual([1.01, 1.3]));
    assert.ok(!isEqual([0.5, 0.99]));
  });
});

suite('numbers for people', () => {
  const numbers: [number, string][] = [
    [147_783.4, '147,783'],
    [45.64, '45.6'],
    [4.037, '4.04'],
    [0, '0.00'],
    [0.0412, '0.041'],
    [0.00412, '0.0041'],
  ];
  for (const [value, text] of numbers) {
    test(text, () => assert.equal(formatNumber(value), text));
  }

  const ratios: [number, readonly [number, number], string][] = [
    [0.5712, [0.55, 0.58], '0.57 ×'],
    [0.0389, [0.03, 0.04], '0.039 ×'],
    [1.02, [0.97, 1.05], 'equal (1.02 ×)'],
    [123.4, [120, 125], '123 ×'],
  ];
  for (const [value, spread, text] of ratios) {
    test(text, () => assert.equal(formatRatio({ value, spread }), text));
  }
});
