import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../../../src/lifecycle/backoff.ts';

suite('Backoff', () => {
  test('grows to its limit and starts again after a reset', () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 500, random: () => 0 });
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => backoff.nextMs()),
      [50, 100, 200, 250, 250],
    );
    backoff.reset();
    assert.equal(backoff.nextMs(), 50);
  });

  test('a pause is between half a step and a whole one', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(random, fc.nat(40), (value, tries) => {
        const backoff = new Backoff({ firstMs: 10, maxMs: 10_000, factor: 3, random: () => value });
        for (let i = 0; i < tries; i++) backoff.nextMs();
        const stepMs = Math.min(10_000, 10 * 3 ** tries);
        const pauseMs = backoff.nextMs();
        assert.ok(pauseMs >= stepMs / 2 && pauseMs <= stepMs, `${pauseMs} of ${stepMs}`);
      }),
    );
  });

  test('full jitter takes any part of a step from the first one on', () => {
    const pauses = (value: number): number[] => {
      const options = { firstMs: 10, maxMs: 80, jitter: 'full', random: () => value } as const;
      const backoff = new Backoff(options);
      return [1, 2, 3, 4, 5].map(() => backoff.nextMs());
    };
    assert.deepEqual(pauses(0), [10, 10, 10, 10, 10]);
    assert.deepEqual(pauses(1), [10, 20, 40, 80, 80]);
  });

  test('a fifth of jitter stays around the step, and below the limit', () => {
    const pauses = (value: number): number[] => {
      const options = { firstMs: 10, maxMs: 35, jitter: 'fifth', random: () => value } as const;
      const backoff = new Backoff(options);
      return [1, 2, 3, 4].map(() => Math.round(backoff.nextMs()));
    };
    assert.deepEqual(pauses(0), [8, 16, 28, 28]);
    assert.deepEqual(pauses(0.5), [10, 20, 35, 35]);
    assert.deepEqual(pauses(1), [12, 24, 35, 35]);
  });

  test('a lower limit holds for the growth too, and ends when it is no longer given', () => {
    const options = { firstMs: 100, maxMs: 1600, jitter: 'full', random: () => 1 } as const;
    const backoff = new Backoff(options);
    assert.deepEqual(
      [200, 200, 200, 200, 1600, 1600, undefined].map((limit) => backoff.nextMs(limit)),
      [100, 200, 200, 200, 200, 400, 800],
    );
  });

  test('a range that cannot grow is refused', () => {
    assert.throws(() => new Backoff({ firstMs: 0, maxMs: 1 }), RangeError);
    assert.throws(() => new Backoff({ firstMs: 5, maxMs: 1 }), RangeError);
    assert.throws(() => new Backoff({ firstMs: 5, maxMs: 9, factor: 0.5 }), RangeError);
  });
});
