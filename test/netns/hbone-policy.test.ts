/**
 * Policy of a pod whose clients are on another node: by the identity the certificate proves, by the client's real address, and
 * under PeerAuthentication; live tunnels obey, and the others do not notice.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Resource } from '../support/agent.ts';
import { nodeResources } from '../support/node-agents.ts';
import { NETNS_FOLDER, skipReason } from '../support/node.ts';
import { startPuppet, until, type Puppet } from '../support/puppet.ts';
import { fromAccounts, policy, toPorts, type PolicySpec } from '../support/resources.ts';
import { connectionsOf, refusal, startTwoNodes } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const OTHER_PORT = 8081;
const ROUNDS = 5;
const RACES = 10;
const REVOKED_MS = 100;

/** The machine is shared: the quickest must be in time, the slowest not far from it. */
function inTime(sorted: readonly number[]): void {
  assert.ok(sorted[0]! < REVOKED_MS && sorted.at(-1)! < 10 * REVOKED_MS, `${sorted.join()} ms`);
}

function peers(mode: string, ports: Readonly<Record<number, string>> = {}): Resource {
  const portLevelMtls = Object.fromEntries(
    Object.entries(ports).map(([port, found]) => [port, { mode: found }]),
  );
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'p', namespace: 'default' },
    spec: {
      selector: { matchLabels: { app: 'server' } },
      mtls: { mode },
      ...(Object.keys(ports).length > 0 && { portLevelMtls }),
    },
  };
}

/** An empty file counts as one that is being written. */
const SOMETHING = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'elsewhere' } };

const about = (spec: Partial<PolicySpec>): Resource =>
  policy({ name: 'p', app: 'server', ...spec });

test('policy across nodes', { skip }, async (t) => {
  const stage = await startTwoNodes(t, {
    near: [
      { name: 'client' },
      { name: 'other' },
      { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
    ],
  });
  const [client, other, stranger, server] = ['client', 'other', 'stranger', 'server'].map((name) =>
    stage.puppet(name),
  ) as [Puppet, Puppet, Puppet, Puppet];
  const to = stage.far.pod('server');
  const [a, b] = [stage.near.pod('client'), stage.near.pod('other')];
  const nodeOf = (name: string, path: string): Promise<Puppet> =>
    startPuppet(stage.near, { ...a, name, netns: path, netnsPath: `${NETNS_FOLDER}/${path}` });
  const node = await nodeOf('node', stage.near.node.netns);
  for (const addr of [to.v4, to.v6]) {
    for (const port of [PORT, OTHER_PORT]) await server.listen(addr, port);
  }

  const speaks = async (from: Puppet, addr = to.v4, port = PORT): Promise<boolean> => {
    const answer = await from.connect(addr, port);
    if (answer.id === undefined) return false;
    const found = await from.echoes(answer.id);
    await from.close(answer.id);
    return found;
  };
  const inForce = (what: string, expected: Readonly<Record<string, boolean>>, port = PORT) =>
    until(what, async () => {
      for (const [from, name] of [
        [client, 'client'],
        [other, 'other'],
        [stranger, 'stranger'],
        [node, 'node'],
      ] as const) {
        for (const addr of [to.v4, to.v6]) {
          if ((await speaks(from, addr, port)) !== expected[name]) return false;
        }
      }
      return true;
    });
  /** All that is said of the server from now on. */
  const rule = (resources: readonly Resource[]): void =>
    stage.agents[1].writeResource('rules.yaml', [SOMETHING, ...resources]);
  const all = { client: true, other: true, stranger: true, node: true };

  await t.test('PERMISSIVE lets everybody in', async () => {
    await inForce('all', all);
  });

  await t.test('STRICT refuses who comes without a certificate, at once', async () => {
    rule([peers('STRICT')]);
    await inForce('STRICT', { ...all, stranger: false, node: false });
    for (const from of [stranger, node]) {
      const answer = await from.connect(to.v4, PORT);
      assert.equal(answer.error, 'ECONNREFUSED');
    }
  });

  await t.test('STRICT at one port', async () => {
    rule([peers('PERMISSIVE', { [OTHER_PORT]: 'STRICT' })]);
    await inForce('one port', { ...all, stranger: false, node: false }, OTHER_PORT);
    await inForce('the other', all);
  });

  await t.test('live plaintext ends when STRICT comes, tunnels do not notice', async (subtest) => {
    const took: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rule([]);
      await until('open', () => speaks(stranger));
      const [doomed, kept] = [await stranger.open(to.v4, PORT), await client.open(to.v4, PORT)];
      assert.ok((await stranger.echoes(doomed)) && (await client.echoes(kept)));
      const ending = stranger.do('end', { id: doomed });
      const since = process.hrtime.bigint();
      rule([peers('STRICT')]);
      const { end, at } = await ending;
      assert.equal(end, 'reset');
      took.push(at! * 1000 - Number(since) / 1e6);
      assert.ok(await client.echoes(kept));
      await client.close(kept);
      await stranger.close(doomed);
    }
    took.sort((x, y) => x - y);
    subtest.diagnostic(`ended after ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    inTime(took);
  });

  await t.test('by the real address of a client behind HBONE', async () => {
    for (const [ipBlocks, expected] of [
      [[a.v4, `${a.v6}/128`], { ...all, client: false }],
      [
        [`${stage.near.subnets.v4}`, stage.near.subnets.v6],
        { client: false, other: false, stranger: false, node: true },
      ],
    ] as const) {
      const rules = [{ from: [{ source: { ipBlocks } }] }];
      rule([about({ action: 'DENY', rules })]);
      await inForce('DENY by address', expected);
    }
    rule([about({ rules: [{ from: [{ source: { ipBlocks: [b.v4] } }] }] })]);
    await until('other only', async () => (await speaks(other)) && !(await speaks(client)));
    assert.equal(await speaks(other, to.v6), false);
  });

  await t.test('by namespace: who has no certificate is in none', async () => {
    const rules = [{ from: [{ source: { namespaces: ['default'] } }] }];
    rule([about({ action: 'DENY', rules })]);
    await inForce('DENY', { client: false, other: false, stranger: true, node: true });
    rule([about({ action: 'ALLOW', rules })]);
    await inForce('ALLOW', { client: true, other: true, stranger: false, node: false });
  });

  await t.test('by identity and port; a refused tunnel ends with a reset', async () => {
    const rules = [{ ...fromAccounts('client'), ...toPorts(PORT) }, fromAccounts('other')];
    rule([about({ action: 'ALLOW', rules })]);
    await inForce('PORT', { client: true, other: true, stranger: false, node: false });
    await inForce(
      'OTHER',
      { client: false, other: true, stranger: false, node: false },
      OTHER_PORT,
    );
    assert.equal(await refusal(client, to.v4, OTHER_PORT), 'reset');
  });

  await t.test('live tunnels end within moments, and others do not notice', async (subtest) => {
    const took: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rule([]);
      await until('open', async () => (await speaks(client)) && (await speaks(other)));
      const [doomed, kept] = [await client.open(to.v4, PORT), await other.open(to.v4, PORT)];
      assert.ok((await client.echoes(doomed)) && (await other.echoes(kept)));
      const talk = other.do('talk', { id: kept, seconds: 1, pause: 0.002 });
      const ending = client.do('end', { id: doomed });
      const since = process.hrtime.bigint();
      rule([about({ action: 'DENY', rules: [fromAccounts('client')] })]);
      const { end, at } = await ending;
      assert.equal(end, 'reset');
      took.push(at! * 1000 - Number(since) / 1e6);
      assert.equal((await talk).end, 'none');
      await client.close(doomed);
      await other.close(kept);
    }
    took.sort((x, y) => x - y);
    subtest.diagnostic(`ended after ${took.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    inTime(took);
  });

  await t.test('nothing that was being let in meanwhile stays', async () => {
    for (let round = 0; round < RACES; round++) {
      rule([]);
      await until('open', () => speaks(client));
      const opening = client.do('open_many', { addr: to.v4, port: PORT, count: 150 });
      await new Promise((resolve) => setTimeout(resolve, 5 * round));
      rule([about({ action: 'DENY', rules: [fromAccounts('client')] })]);
      const { ids } = await opening;
      await until('refused', async () => !(await speaks(client)));
      await until(
        'none is left',
        async () => {
          const live = await connectionsOf(stage.agents[1]);
          return !live.some(({ source }) => source.workload === 'client');
        },
        1000,
      );
      for (const id of ids!) await client.close(id);
    }
  });

  await t.test('a client that gets another identity', async () => {
    const renamed = (which: 0 | 1, account: string): void => {
      const changed = nodeResources(stage.nodes, stage.nodes[which]!).map((resource) => {
        const { metadata, spec } = resource as { metadata: { name: string }; spec: object };
        if (resource['kind'] !== 'Pod' || metadata.name !== 'client') return resource;
        return { ...resource, spec: { ...spec, serviceAccountName: account } };
      });
      stage.agents[which].writeResource('mesh.yaml', changed);
    };
    rule([about({ action: 'ALLOW', rules: [fromAccounts('client', 'other')] })]);
    await until('in force', async () => !(await speaks(stranger)) && (await speaks(client)));
    const [live, kept] = [await client.open(to.v4, PORT), await other.open(to.v4, PORT)];
    assert.ok((await client.echoes(live)) && (await other.echoes(kept)));
    renamed(1, 'another');
    renamed(0, 'another');
    assert.equal(
      (await client.do('end', { id: live })).end,
      'reset',
      'its old word is no longer its',
    );
    await until('refused', async () => !(await speaks(client)));
    assert.ok(await other.echoes(kept));
    renamed(0, 'client');
    renamed(1, 'client');
    await until('let in again', () => speaks(client));
  });
});
