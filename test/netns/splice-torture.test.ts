/**
 * A spliced connection is a TCP connection: the same assertions (test/c/torture*.c) hold for pods the agent leaves
 * plain and for pods it splices, over IPv4, IPv6 and v4-mapped sockets. The counters prove which way the bytes took.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { startAgent } from '../support/agent.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { redirectedDuring, torture } from '../support/programs.ts';

/** the tests of torture-start that are not about a family of their own */
const START_TESTS = [
  'tuple_reuse',
  'server_speaks_first',
  'deferred_accept',
  'deferred_accept_late_reader',
  'fast_open',
];
const PROGRAMS = ['torture', 'torture-end', 'torture-ready', 'torture-option', 'torture-start'];
const FAMILIES = ['v4', 'v6', 'mapped'] as const;
const skip = skipReason();

function podsWith(splice: string): { name: string; annotations: Record<string, string> }[] {
  return ['client', 'server'].map((name) => ({
    name,
    annotations: { 'podwire.io/splice': splice },
  }));
}

test('a spliced connection behaves as a TCP connection', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: podsWith('always') });
  const agent = await startAgent({ mesh });
  for (const family of FAMILIES) {
    for (const program of PROGRAMS) {
      await t.test(`${program} over ${family}`, async () => {
        const redirected = await redirectedDuring(agent, () =>
          torture(mesh, {
            program,
            family,
            expect: 'spliced',
            ...(program === 'torture-start' && family !== 'v4' ? { tests: START_TESTS } : {}),
          }),
        );
        assert.ok(redirected.spliced >= 3, `only ${redirected.spliced} connections were spliced`);
        assert.ok(redirected.bytes > 0, 'no byte was redirected');
      });
    }
  }
  await t.test('repeated, overlapping and late segments are read once', async () => {
    const { spliced } = await redirectedDuring(agent, () =>
      torture(mesh, { program: 'torture-segment', expect: 'spliced' }),
    );
    assert.ok(spliced >= 5, `only ${spliced} connections were spliced`);
  });
  await t.test('readers that splicing cannot serve are not left hanging', async () => {
    await torture(mesh, { program: 'torture-reader', expect: 'spliced' });
  });
});

test('a pod that is never spliced is a plain pod', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: podsWith('never') });
  const agent = await startAgent({ mesh });
  for (const program of [...PROGRAMS, 'torture-segment', 'torture-reader']) {
    await t.test(program, async () => {
      const redirected = await redirectedDuring(agent, () =>
        torture(mesh, { program, expect: 'plain' }),
      );
      assert.deepEqual(redirected, { spliced: 0, bytes: 0 });
    });
  }
});

test('readers that splicing cannot serve are right by default', { skip }, async (t) => {
  const mesh = createMesh(t, { pods: [{ name: 'client' }, { name: 'server' }] });
  await startAgent({ mesh });
  for (let round = 0; round < 5; round++) {
    await torture(mesh, { program: 'torture-reader', expect: 'plain' });
  }
});
