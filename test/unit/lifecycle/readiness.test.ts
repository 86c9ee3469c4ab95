import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Readiness } from '../../../src/lifecycle/readiness.ts';
import type { Log } from '../../../src/log.ts';

/** Keeps what is logged. */
function recorder(): { log: Pick<Log, 'info'>; lines: unknown[] } {
  const lines: unknown[] = [];
  const info = (fields: unknown, message: string): void => {
    lines.push([message, fields]);
  };
  return { log: { info: info as Log['info'] }, lines };
}

suite('Readiness', () => {
  test('blockers clear one by one, each logged with its time', async () => {
    const { log, lines } = recorder();
    let nowMs = 1000;
    const readiness = new Readiness({ log, blockers: ['kernel', 'config'], now: () => nowMs });
    assert.equal(readiness.ready, false);
    nowMs = 1250.4;
    readiness.clear('config');
    assert.deepEqual(readiness.blockers, ['kernel']);
    nowMs = 1400;
    readiness.clear('kernel');
    assert.equal(readiness.ready, true);
    await readiness.whenReady();
    assert.deepEqual(lines, [
      ['readiness blocker cleared', { blocker: 'config', afterMs: 250, left: ['kernel'] }],
      ['readiness blocker cleared', { blocker: 'kernel', afterMs: 400, left: [] }],
      ['ready', { afterMs: 400 }],
    ]);
  });

  test('a second clear and an unknown name do nothing', () => {
    const { log, lines } = recorder();
    const readiness = new Readiness({ log, blockers: ['a', 'b'] });
    readiness.clear('a');
    readiness.clear('a');
    readiness.clear('c');
    assert.equal(lines.length, 1);
    assert.equal(readiness.ready, false);
  });

  test('without blockers it is ready', async () => {
    const readiness = new Readiness({ log: recorder().log, blockers: [] });
    assert.equal(readiness.ready, true);
    await readiness.whenReady();
  });
});
