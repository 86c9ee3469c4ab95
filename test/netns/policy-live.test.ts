/**
 * Live connections obey within 100 ms: STRICT that is attached by an Address alone (the policy was there before), a new
 * account of the client's pod, a new policy. On every path; and connections that stay allowed do not notice.
 */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { ConnectionView, PolicyView } from '../../src/admin/view.ts';
import { EMPTY_MATCH, type Authorization, type Match } from '../../src/model/authorization.ts';
import { parseIp } from '../../src/model/ip.ts';
import { launchAgent, type Agent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';
import { hold, serve, type Driver } from '../support/survive.ts';
import { pod as podAddress } from '../support/xds-client.ts';
import { startServer, type ServerUnderTest } from '../support/xds-server.ts';

const skip = skipReason('python3');
const PORT = 8080;
const KEPT_PORT = 8081;
const KEPT = 20;
const OBEYED_MS = 100;
const ROUNDS = 3;
const PATHS = {
  spliced: {},
  plain: { server: { 'podwire.io/splice': 'never' } },
  proxied: {
    alice: { 'podwire.io/capture': 'proxy' },
    server: { 'podwire.io/capture': 'proxy' },
  },
  asked: {},
} as const;
type Path = keyof typeof PATHS;

function rule(name: string, action: 'ALLOW' | 'DENY', ...matches: Partial<Match>[]): Authorization {
  return {
    ...{ name, namespace: 'istio-system', scope: 'WORKLOAD_SELECTOR', action, dryRun: false },
    rules: [{ clauses: [{ matches: matches.map((match) => ({ ...EMPTY_MATCH, ...match })) }] }],
  };
}

const STRICT = rule('istio_converted_static_strict', 'DENY', {
  notPrincipals: [{ type: 'presence' }],
});
const ALICE_AND_BOB = rule('alice-and-bob', 'ALLOW', {
  principals: ['alice', 'bob'].map((name) => ({
    type: 'exact',
    value: `cluster.local/ns/default/sa/${name}`,
  })),
});
const NOT_ALICE = rule('not-alice', 'DENY', {
  principals: [{ type: 'suffix', value: '/sa/alice' }],
});
/** Denies nobody, and makes the agent decide. */
const TOO_LARGE = rule('too-large', 'DENY', {
  destinationPorts: Array.from({ length: 20_000 }, (_, i) => 20_000 + i),
});
const ALL = [STRICT, ALICE_AND_BOB, NOT_ALICE, TOO_LARGE];

interface Stage {
  readonly mesh: Mesh;
  readonly xds: ServerUnderTest;
  readonly agent: Agent;
  readonly alice: Puppet;
  readonly stranger: Puppet;
  /** bob's connections, which nothing here concerns */
  readonly kept: Driver;
  /** pushes Addresses only; policies were there before */
  readonly say: (what: { readonly policies: readonly Authorization[]; alice?: string }) => void;
}

async function setTheStage(t: TestContext, path: Path): Promise<Stage> {
  const always = { 'podwire.io/splice': 'always' };
  const annotations: Readonly<Record<string, Readonly<Record<string, string>>>> = PATHS[path];
  const mesh = createMesh(t, {
    pods: [
      ...['alice', 'bob', 'server'].map((name) => ({
        name,
        annotations: { ...always, ...annotations[name] },
      })),
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const xds = await startServer();
  mesh.defer(() => xds.stop());
  const say: Stage['say'] = ({ policies, alice }) => {
    const names = policies.map((policy) => `istio-system/${policy.name}`);
    xds.server.apply({
      addresses: {
        upserts: ['alice', 'bob', 'server'].map((name) => {
          const { v4, v6 } = mesh.pod(name);
          return podAddress(name, v4, {
            trustDomain: 'cluster.local',
            addresses: [parseIp(v4)!, parseIp(v6)!],
            serviceAccount: name === 'alice' ? (alice ?? name) : name,
            authorizationPolicies: name === 'server' ? names : [],
          });
        }),
        removals: [],
      },
    });
  };
  xds.server.apply({
    addresses: { upserts: [], removals: [] },
    authorizations: { upserts: ALL, removals: [] },
  });
  say({ policies: path === 'asked' ? [TOO_LARGE] : [] });
  await serve(mesh, mesh.pod('server'), PORT, KEPT_PORT);
  const agent = launchAgent({ mesh, args: ['--xds', `http://127.0.0.1:${xds.port}`] });
  await agent.waitForLog('ready');
  await until('all pods', async () => {
    const pods = (await agent.admin('/v1/pods')) as { state: string }[];
    return pods.filter(({ state }) => state === 'captured').length === 3;
  });
  const [alice, stranger] = await Promise.all([
    startPuppet(mesh, mesh.pod('alice')),
    startPuppet(mesh, mesh.pod('stranger')),
  ]);
  const kept = await hold(mesh, mesh.pod('bob'), mesh.pod('server').v4, KEPT_PORT, KEPT);
  return { mesh, xds, agent, alice, stranger, kept, say };
}

/** Ends a connection of `from` by `change`; the milliseconds from the server's push. */
async function ended(stage: Stage, from: Puppet, change: () => void): Promise<number> {
  const id = await from.open(stage.mesh.pod('server').v4, PORT);
  assert.ok(await from.echoes(id), stage.agent.stderr.slice(-3000));
  const ending = from.do('end', { id });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const start = Number(process.hrtime.bigint()) / 1e9;
  change();
  const { end, at } = await ending;
  assert.equal(end, 'reset');
  await from.close(id);
  return (at! - start) * 1000;
}

async function inForce(agent: Agent, policies: readonly Authorization[]): Promise<void> {
  const wanted = policies
    .map(({ name }) => name)
    .sort()
    .join();
  await until('the policies', async () => {
    const all = (await agent.admin('/v1/policies')) as PolicyView[];
    const found = all.filter(({ pods }) => pods.includes('default/server'));
    return (
      found
        .map(({ name }) => name)
        .sort()
        .join() === wanted
    );
  });
}

for (const path of Object.keys(PATHS) as Path[]) {
  test(`live connections obey, ${path}`, { skip }, async (t) => {
    const stage = await setTheStage(t, path);
    const { agent, alice, stranger, kept, say } = stage;
    const base = path === 'asked' ? [TOO_LARGE] : [];
    const seen = (await agent.admin('/v1/connections')) as ConnectionView[];
    const paths = new Set(
      seen.filter(({ source }) => source.workload === 'bob').map((one) => one.path),
    );
    assert.deepEqual(
      [...paths],
      [path === 'asked' ? 'proxied' : path === 'proxied' ? 'proxied' : path],
    );
    const times: Record<string, number[]> = {};
    const before = await kept.counts();
    const note = (what: string, ms: number): void => void (times[what] ??= []).push(ms);
    for (let round = 0; round < ROUNDS; round++) {
      say({ policies: base });
      await inForce(agent, base);
      note(
        'strict by Address',
        await ended(stage, stranger, () => say({ policies: [...base, STRICT] })),
      );
      say({ policies: [...base, ALICE_AND_BOB] });
      await inForce(agent, [...base, ALICE_AND_BOB]);
      note(
        'another account',
        await ended(stage, alice, () =>
          say({ policies: [...base, ALICE_AND_BOB], alice: 'mallory' }),
        ),
      );
      say({ policies: base });
      await inForce(agent, base);
      note(
        'another policy',
        await ended(stage, alice, () => say({ policies: [...base, NOT_ALICE] })),
      );
    }

    t.diagnostic(
      Object.entries(times)
        .map(([what, all]) => `${what}: ${all.map((ms) => ms.toFixed(0)).join(' ')} ms`)
        .join(', '),
    );
    const after = await kept.turns(KEPT);
    assert.deepEqual([after.open, after.ended, after.failed], [KEPT, 0, 0], after.text);
    assert.ok(after.exchanges > before.exchanges);
    // the machine may be busy with something else: the best round counts
    for (const [what, all] of Object.entries(times)) {
      assert.ok(Math.min(...all) < OBEYED_MS, `${what}: ${all.join(' ')} ms`);
    }
    const revoked = await until('the lines', () => {
      const lines = agent.log.filter((line) => line['error'] === 'revoked');
      return lines.length >= 3 * ROUNDS && lines;
    });
    assert.deepEqual(
      revoked.slice(0, 3).map((line) => [line['policy'], line['rule']]),
      [
        ['istio-system/istio_converted_static_strict', '0'],
        [undefined, 'no ALLOW matched'],
        ['istio-system/not-alice', '0'],
      ],
    );
    await kept.stop();
  });
}
