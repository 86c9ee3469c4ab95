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

  test('the spread is the middle half', () => {
    assert.deepEqual(spreadOf([5, 1, 3, 2, 4]), [2, 4]);
    assert.deepEqual(spreadOf([1, 2]), [1.25, 1.75]);
    assert.deepEqual(spreadOf([7]), [7, 7]);
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

  test('a ratio and its inverse say the same', () => {
    fc.assert(
      fc.property(rounds, (pairs) => {
        const a = pairs.map(([value]) => value);
        const b = pairs.map(([, value]) => value);
        const ratio = ratioOf(a, b);
        const inverse = ratioOf(b, a);
        assert.ok(ratio && inverse);
        assert.ok(Math.abs(ratio.value * inverse.value - 1) < 1e-9);
        assert.ok(ratio.spread[0] <= ratio.spread[1]);
      }),
    );
  });

  test('a difference no larger than the spread is equal', () => {
    assert.ok(isEqual({ value: 1.05, spread: [0.98, 1.1] }));
    assert.ok(isEqual({ value: 0.9, spread: [0.85, 0.95] }));
    assert.ok(!isEqual({ value: 0.57, spread: [0.55, 0.6] }));
    assert.ok(!isEqual({ value: 1.86, spread: [1.7, 1.95] }));
  });

  test('one disturbed round of five makes no difference', () => {
    const ratio = ratioOf([186, 180, 7, 190, 184], [100, 98, 140, 101, 99]);
    assert.ok(ratio);
    assert.ok(!isEqual(ratio));
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
