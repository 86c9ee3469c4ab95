/**
 * SIGKILL at any map operation of a policy write: the pod is under the old policy or under the new one, never under anything
 * else, while the agent is away; and the next agent puts the new one in force.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { cProgram, skipReason } from '../support/node.ts';
import { PolicyWorld, type Round } from '../support/policy-world.ts';

const skip = skipReason();
const KILLS = 7;
/** tables of four pods, and of their prefixes: about this many operations */
const OPERATIONS = 20;

test('an agent that is killed while it writes a policy', { skip }, async (t) => {
  const seed = Number(process.env['PODWIRE_TEST_SEED'] ?? randomInt(2 ** 31));
  t.diagnostic(`PODWIRE_TEST_SEED=${seed}`);
  const world = await PolicyWorld.start(t);
  const { mesh } = world;
  let agent = await world.startAgent();
  const rounds = fc.sample(world.arbitrary(), { seed, numRuns: 1000 }).values();
  let before: Round = { policies: [], named: [] };
  const found = { old: 0, new: 0, survived: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    const next = differing(world, before, rounds);
    const count = 1 + ((seed + kill * 5) % OPERATIONS);
    const when = kill % 2 === 0 ? 'before' : 'after';
    const killer = mesh.spawn(cProgram('kill-at'), [String(agent.pid), String(count), when]);
    await killer.waitFor('ready');
    world.announce(next);
    const over = await Promise.race([killer.ended, sleep(1500)]);
    if (over === undefined) {
      await killer.stop('SIGKILL');
      await agent.kill('SIGKILL');
      found.survived++;
    } else {
      await agent.ended;
    }
    const answers = await world.ask(next);
    const outcomes = answers.map(({ outcome }) => outcome === 'A');
    const is = (round: Round): boolean =>
      world.expected(round).every((allowed, i) => allowed === outcomes[i]);
    const [old, fresh] = [is(before), is(next)];
    const place = `seed ${seed}, kill ${kill} ${when} operation ${count}`;
    assert.ok(
      old || fresh,
      `${place}: neither ${JSON.stringify(before)} nor ${JSON.stringify(next)}: ${JSON.stringify(answers)}`,
    );
    assert.ok(answers.every(({ outcome }) => outcome === 'A' || outcome === 'R'));
    found[old ? 'old' : 'new']++;
    agent = await world.startAgent();
    await world.enforce(next);
    const wrong = (await world.ask(next)).filter((one) => one.allowed !== (one.outcome === 'A'));
    assert.deepEqual(wrong, [], place);
    before = next;
  }
  t.diagnostic(JSON.stringify(found));
  assert.ok(found.old > 0 && found.new > 0, 'all kills came too early, or too late');
});

function differing(world: PolicyWorld, before: Round, rounds: Iterator<Round>): Round {
  const was = world.expected(before).join();
  for (;;) {
    const { value, done } = rounds.next();
    if (done) throw new Error('no round that differs');
    if (world.expected(value as Round).join() !== was) return value as Round;
  }
}

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms));
}
