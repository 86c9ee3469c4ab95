import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite, test } from 'node:test';
import { Resources } from '../../../src/lifecycle/drain.ts';

suite('Resources', () => {
  test('close in reverse order, each awaited', async () => {
    const steps: string[] = [];
    const resources = new Resources();
    resources.add('first', () => {
      steps.push('first');
    });
    resources.add('second', async () => {
      steps.push('second begins');
      await sleep(10);
      steps.push('second ends');
    });
    assert.deepEqual(await resources.close(1000), []);
    assert.deepEqual(steps, ['second begins', 'second ends', 'first']);
  });

  test('failures are collected and stop nothing', async () => {
    const resources = new Resources();
    const closed: string[] = [];
    const thrown = new Error('thrown');
    const rejected = new Error('rejected');
    resources.add('a', () => void closed.push('a'));
    resources.add('b', () => {
      throw thrown;
    });
    resources.add('c', () => Promise.reject(rejected));
    assert.deepEqual(await resources.close(1000), [
      { name: 'c', error: rejected },
      { name: 'b', error: thrown },
    ]);
    assert.deepEqual(closed, ['a']);
  });

  test('a second close waits for the first and has its result', async () => {
    const resources = new Resources();
    let times = 0;
    resources.add('a', async () => {
      await sleep(5);
      times++;
    });
    const first = resources.close(1000);
    assert.equal(resources.close(0), first);
    await first;
    assert.equal(times, 1);
  });

  test('a step that hangs costs the deadline; those after it still run', async () => {
    const resources = new Resources();
    let closed = false;
    resources.add('last', () => {
      closed = true;
    });
    resources.add('hangs', () => new Promise(() => {}));
    const start = performance.now();
    const [failure, ...others] = await resources.close(200);
    const elapsedMs = performance.now() - start;
    assert.equal(failure?.name, 'hangs');
    assert.match(String(failure?.error), /did not close within (200|199) ms/);
    assert.deepEqual(others, []);
    assert.equal(closed, true);
    assert.ok(elapsedMs >= 190, String(elapsedMs));
  });

  test('a late rejection of a step given up on is not unhandled', async () => {
    const resources = new Resources();
    resources.add('late', async () => {
      await sleep(150);
      throw new Error('too late');
    });
    const failures = await resources.close(0);
    assert.equal(failures.length, 1);
    await sleep(100);
  });

  test('nothing can be added once closing has begun', async () => {
    const resources = new Resources();
    await resources.close(0);
    assert.throws(() => resources.add('ring', () => {}), {
      message: 'ring was started while everything is being closed',
    });
  });
});
