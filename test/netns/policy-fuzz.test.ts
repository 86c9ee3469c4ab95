/**
 * The kernel answers as the evaluator does: random policies over xDS, and the result of real connections, from pods with an
 * identity, from addresses without one, over both families. PODWIRE_TEST_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import fc from 'fast-check';
import type { PolicyView } from '../../src/admin/view.ts';
import { EMPTY_MATCH, type Authorization } from '../../src/model/authorization.ts';
import { skipReason } from '../support/node.ts';
import { PolicyWorld, type Asked, type Round } from '../support/policy-world.ts';

const skip = skipReason();
const BUDGET_MS = 8000;
const MIN_CONNECTIONS = 1000;

/** Matches no connection of this world, and is too large for a table of the kernel. */
const TOO_LARGE: Authorization = {
  ...{ name: 'too-large', namespace: 'default', scope: 'NAMESPACE', action: 'DENY', dryRun: false },
  rules: [
    {
      clauses: [
        {
          matches: [
            {
              ...EMPTY_MATCH,
              destinationPorts: Array.from({ length: 20_000 }, (_, i) => 20_000 + i),
            },
          ],
        },
      ],
    },
  ],
};

function seedOf(t: TestContext): number {
  const seed = Number(process.env['PODWIRE_TEST_SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`PODWIRE_TEST_SEED=${seed}`);
  return seed;
}

/** Until the time is over; `refusals`: how a connection that is not allowed may end. */
async function fuzz(
  t: TestContext,
  world: PolicyWorld,
  { refusals, alter }: { refusals: string; alter: (round: Round) => Round },
): Promise<void> {
  const seed = seedOf(t);
  const deadline = Date.now() + BUDGET_MS;
  let asked = 0;
  let allowed = 0;
  let rounds = 0;
  for (const made of fc.sample(world.arbitrary(), { seed, numRuns: 1000 })) {
    if (Date.now() > deadline) break;
    const round = alter(made);
    await world.enforce(round);
    const answers = await world.ask(round);
    const wrong = answers.filter((one) => !isRight(one, refusals));
    const told = (): string =>
      `seed ${seed}, round ${rounds}: ${JSON.stringify(made)}\n${world.agent.stderr.slice(-3000)}`;
    assert.equal(wrong.length, 0, `${told()}\n${JSON.stringify(wrong)}`);
    asked += answers.length;
    allowed += answers.filter((one) => one.allowed).length;
    rounds++;
  }
  t.diagnostic(`${rounds} rounds, ${asked} connections, ${allowed} allowed`);
  assert.ok(asked > MIN_CONNECTIONS, `${asked} connections`);
  assert.ok(allowed > asked / 10 && allowed < asked * 0.9, 'the dice are one-sided');
}

function isRight({ outcome, allowed }: Asked, refusals: string): boolean {
  return allowed ? outcome === 'A' : refusals.includes(outcome);
}

test('the kernel lets in whom the evaluator lets in', { skip }, async (t) => {
  const world = await PolicyWorld.start(t);
  await world.startAgent();
  await fuzz(t, world, { refusals: 'R', alter: (round) => round });
  const counters = await world.agent.counters();
  assert.equal(counters['asked'] ?? 0, 0, 'the agent was asked');
});

test('so does user space, for what does not fit the kernel', { skip }, async (t) => {
  const world = await PolicyWorld.start(t);
  await world.startAgent();
  const alter = ({ policies, named }: Round): Round => ({
    policies: [...policies.filter(({ name }) => name !== TOO_LARGE.name), TOO_LARGE],
    named,
  });
  await fuzz(t, world, { refusals: 'X', alter });
  const counters = await world.agent.counters();
  assert.ok((counters['asked'] ?? 0) > MIN_CONNECTIONS, JSON.stringify(counters));
  const policies = (await world.agent.admin('/v1/policies')) as PolicyView[];
  const large = policies.filter(({ name }) => name === TOO_LARGE.name);
  assert.deepEqual(
    large.map(({ form }) => form),
    ['user-space'],
  );
  assert.ok(large[0]!.pods.includes('default/server'));
});
