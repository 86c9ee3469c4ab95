/** Certificates of two CAs at once, revoked ones, and pods that go, under live tunnels. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { CertificateStatus } from '../../src/identity/certificate-status.ts';
import { IssuingCa } from '../support/issuing-ca.ts';
import { nodeResources } from '../support/node-agents.ts';
import { skipReason } from '../support/node.ts';
import { until, type Puppet } from '../support/puppet.ts';
import { refusal, startTwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;

test('two CAs, a list of revoked certificates, and pods that go', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-ca-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const cas = [await IssuingCa.make('old root'), await IssuingCa.make('new root')];
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const roots = write('roots.pem', cas.map(({ pem }) => pem).join(''));
  const files = await Promise.all(
    cas.map(async (ca, i) => ({
      certificate: write(`ca${i}.pem`, ca.pem),
      key: write(`ca${i}.key`, await ca.keyPem()),
      roots,
    })),
  );
  const crl = write('crl.pem', await cas[0]!.crl([]));
  const stage = await startTwoNodes(t, {
    own: (which) => ({ ca: files[which]!, args: which === 1 ? ['--crl-file', crl] : [] }),
  });
  const [client, other, server] = ['client', 'other', 'server'].map((name) =>
    stage.puppet(name),
  ) as [Puppet, Puppet, Puppet];
  const [near, far] = [stage.near, stage.far];
  const to = far.pod('server');
  const listener = await server.listen(to.v4, PORT);

  await t.test('each node’s CA is trusted by the other by the bundle', async () => {
    for (const from of [client, other]) await untilSpeaks(from, to.v4, PORT);
  });

  await t.test('a revoked peer is cut, and nobody else', async () => {
    const [doomed, kept] = [await client.open(to.v4, PORT), await other.open(to.v4, PORT)];
    assert.ok((await client.echoes(doomed)) && (await other.echoes(kept)));
    const held = (await stage.agents[0].admin('/v1/certificates')) as CertificateStatus[];
    const serial = held.find(({ identity }) => identity.endsWith('/client'))!.serial;
    write('crl.pem', await cas[0]!.crl([serial]));
    assert.equal((await client.do('end', { id: doomed })).end, 'reset');
    assert.ok(await other.echoes(kept));
    const answer = await refusal(client, to.v4, PORT, 15);
    assert.ok(['reset', 'ECONNRESET'].includes(answer), answer);
    assert.ok(await other.echoes(await other.open(to.v4, PORT)));
    write('crl.pem', await cas[0]!.crl([]));
    await untilSpeaks(client, to.v4, PORT, 20_000);
    await other.close(kept);
  });

  await t.test(
    'a client’s pod that is removed: the server sees the end, others go on',
    async () => {
      const kept = await other.open(to.v4, PORT);
      assert.ok(await other.echoes(kept));
      const before = (await server.accepted(listener)).length;
      const id = await client.open(to.v4, PORT);
      const there = await until('accept', async () => (await server.accepted(listener))[before]);
      const rest = nodeResources(stage.nodes, near).filter(
        ({ metadata }) => (metadata as { name: string }).name !== 'client',
      );
      stage.agents[0].writeResource('mesh.yaml', rest);
      // its own socket is still the agent's to end
      assert.equal((await client.do('end', { id })).end, 'reset');
      const { error } = await until('the server’s end', async () => {
        const said = await server.do('say', { id: there.id, text: '?', answer: false });
        return said.error === undefined ? undefined : said;
      });
      assert.match(error!, /EBADF|EPIPE|ECONNRESET/);
      assert.ok(await other.echoes(kept));
      await other.close(kept);
    },
  );

  await t.test('a server’s pod that is removed: its clients see a reset', async () => {
    const id = await other.open(to.v4, PORT);
    assert.ok(await other.echoes(id));
    const rest = nodeResources(stage.nodes, far).filter(
      ({ metadata }) => (metadata as { name: string }).name !== 'server',
    );
    stage.agents[1].writeResource('mesh.yaml', rest);
    assert.equal((await other.do('end', { id })).end, 'reset');
  });
});
