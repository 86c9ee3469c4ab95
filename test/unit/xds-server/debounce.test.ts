/**
 * When changes are pushed, on mocked timers.
 */
import assert from 'node:assert/strict';
import { mock, test, type TestContext } from 'node:test';
import { Debounce } from '../../../src/xds/server/debounce.ts';

function start(t: TestContext): { debounce: Debounce; runs: number[]; pass: (ms: number) => void } {
  mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  let now = 1000;
  const runs: number[] = [];
  const debounce = new Debounce({
    quietMs: 10,
    maxMs: 100,
    run: () => runs.push(now - 1000),
    now: () => now,
  });
  t.after(() => {
    debounce.close();
    mock.timers.reset();
  });
  const pass = (ms: number): void => {
    for (let i = 0; i < ms; i++) {
      mock.timers.tick(1);
      now++;
    }
  };
  return { debounce, runs, pass };
}

test('the first one runs at once, with all of its turn', (t) => {
  const { debounce, runs, pass } = start(t);
  for (let i = 0; i < 5; i++) debounce.poke();
  assert.deepEqual(runs, [], 'not within the turn');
  pass(1);
  assert.equal(runs.length, 1);
  pass(500);
  assert.equal(runs.length, 1);
});

test('what follows soon waits until it is quiet', (t) => {
  const { debounce, runs, pass } = start(t);
  debounce.poke();
  pass(2);
  debounce.poke();
  pass(5);
  debounce.poke();
  pass(9);
  assert.equal(runs.length, 1);
  pass(3);
  assert.equal(runs.length, 2);
  pass(30);
  debounce.poke();
  pass(1);
  assert.equal(runs.length, 3, 'idle again: at once');
  assert.deepEqual(debounce.figures, { together: 1, atOnce: 2 });
});

test('a change that never ends is pushed every so often all the same', (t) => {
  const { debounce, runs, pass } = start(t);
  for (let i = 0; i < 1000; i++) {
    debounce.poke();
    pass(1);
  }
  const gaps = runs.slice(1).map((at, index) => at - runs[index]!);
  assert.ok(runs.length >= 10 && runs.length <= 14, `${runs.length} runs`);
  assert.ok(Math.max(...gaps) <= 103, gaps.join());
});

test('nothing runs after the end', (t) => {
  const { debounce, runs, pass } = start(t);
  debounce.poke();
  debounce.close();
  debounce.poke();
  pass(300);
  assert.deepEqual(runs, []);
});
