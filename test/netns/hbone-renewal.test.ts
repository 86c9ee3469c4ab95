/** Certificates are renewed under live tunnels and a load of new ones, and nobody notices. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { CertificateStatus } from '../../src/identity/certificate-status.ts';
import type { Agent } from '../support/agent.ts';
import { skipReason } from '../support/node.ts';
import { startTwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
/** renewed at half of it, with jitter */
const LIFE_S = 60;
const LOAD_S = 38;

async function serials(agent: Agent): Promise<readonly string[]> {
  const all = (await agent.admin('/v1/certificates')) as readonly CertificateStatus[];
  return all.map(({ serial }) => serial).sort();
}

test('certificates are renewed under load', { skip }, async (t) => {
  const stage = await startTwoNodes(t, { args: ['--certificate-life', String(LIFE_S)] });
  const [client, server] = [stage.puppet('client'), stage.puppet('server')];
  const to = stage.far.pod('server');
  await server.listen(to.v4, PORT);
  await untilSpeaks(client, to.v4, PORT);
  const before = await Promise.all(stage.agents.map(serials));
  const live = await client.open(to.v4, PORT);
  const [{ counts }, told] = await Promise.all([
    client.do('load', { addr: to.v4, port: PORT, seconds: LOAD_S, count: 2, pause: 0.02 }),
    client.do('talk', { id: live, seconds: LOAD_S }),
  ]);
  const after = await Promise.all(stage.agents.map(serials));
  t.diagnostic(`${JSON.stringify(counts)}; ${told.sent} words on the live one`);
  assert.deepEqual(Object.keys(counts!), ['ok']);
  assert.equal(told.end, 'none');
  for (const [i, list] of before.entries()) {
    for (const serial of list) assert.ok(!after[i]!.includes(serial), `${serial} is still in use`);
  }
  const fresh = stage.puppet('other');
  assert.ok(await fresh.echoes(await fresh.open(to.v4, PORT)), 'a new carrier takes the new ones');
});
