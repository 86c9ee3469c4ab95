/**
 * What judges security resources is ready before the first of them comes, and is made ready only when there is nothing else
 * to do.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { crdSchema } from '../../../../src/control/schema/crd-schema.ts';
import { warmUpSchemas } from '../../../../src/control/schema/warm-up.ts';

const PAUSE_MS = 100;
const STEPS = 4;
/** of CPU: some 80 without, 1 with */
const WARM_MS = 30;

const { cache } = createRequire(import.meta.url);
const isLoaded = (): boolean =>
  Object.keys(cache).some((path) => path.includes('/node_modules/ajv/'));

test('nothing is loaded by importing it, nor while the process works', async () => {
  assert.ok(!isLoaded());
  const stop = warmUpSchemas({ pauseMs: PAUSE_MS });
  const end = performance.now() + STEPS * PAUSE_MS;
  while (performance.now() < end) {
    const busyUntil = performance.now() + 5;
    while (performance.now() < busyUntil);
    await turn();
  }
  assert.ok(!isLoaded());
  stop();
  await sleep(2 * PAUSE_MS);
  assert.ok(!isLoaded(), 'it was stopped');
});

test('when idle all of it is made ready', async () => {
  const stop = warmUpSchemas({ pauseMs: PAUSE_MS });
  // A machine with other work may call a pause busy.
  for (let pauses = 0; pauses < 100 && !isLoaded(); pauses++) await sleep(PAUSE_MS);
  assert.ok(isLoaded());
  await sleep(3 * STEPS * PAUSE_MS);
  stop();
  const before = process.cpuUsage();
  const problems = crdSchema('security.istio.io', 'PeerAuthentication').check({
    selector: { matchLabels: { app: 'a*' } },
    portLevelMtls: { 80: { mode: 'SOMETIMES' } },
  });
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual(
    problems.map(({ path }) => path),
    ['spec.portLevelMtls[80].mode'],
  );
  assert.ok((user + system) / 1000 < WARM_MS, `${(user + system) / 1000} ms`);
});
