/**
 * The certificates of a running agent: of captured pods only, from a CA in its process, shown by every view of it, and no key
 * anywhere that can be read.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { StatusView } from '../../src/admin/view.ts';
import { createRoot } from '../../src/control/ca/certificate.ts';
import type { CertificateStatus } from '../../src/identity/certificate-status.ts';
import { launchAgent, mainProgram, meshResources, placesOf, type Agent } from '../support/agent.ts';
import { createMesh, type Mesh } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';

const skip = skipReason();
const idOf = (account: string): string => `spiffe://cluster.local/ns/default/sa/${account}`;

interface Dump {
  readonly certificates: readonly {
    readonly identity: string;
    readonly state: string;
    readonly certChain: readonly Record<
      'pem' | 'serialNumber' | 'validFrom' | 'expirationTime',
      string
    >[];
    readonly rootCerts: readonly Record<'pem', string>[];
  }[];
}

const listOf = async (agent: Agent): Promise<readonly CertificateStatus[]> =>
  (await agent.admin('/v1/certificates')) as readonly CertificateStatus[];

async function statesOf(agent: Agent): Promise<Record<string, string>> {
  const list = await listOf(agent);
  return Object.fromEntries(list.map(({ identity, state }) => [identity, state]));
}

/** A CA in files, as an operator has it; the options that name it. */
async function giveCa(folder: string): Promise<readonly string[]> {
  const now = Date.now();
  const validity = { notBefore: new Date(now - 60_000), notAfter: new Date(now + 86_400_000) };
  const { certificate, key } = await createRoot('cluster.local', validity);
  const ca = join(folder, 'given-ca');
  mkdirSync(ca, { mode: 0o700 });
  writeFileSync(join(ca, 'cert.pem'), certificate);
  writeFileSync(join(ca, 'key.pem'), key, { mode: 0o600 });
  const root = ['--ca-root', join(ca, 'cert.pem')];
  return ['--ca-cert', join(ca, 'cert.pem'), '--ca-key', join(ca, 'key.pem'), ...root];
}

function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}

function setUp(t: TestContext): Mesh {
  return createMesh(t, { pods: ['alice', 'server'].map((name) => ({ name })) });
}

test('certificates of captured pods, by a CA that was given', { skip }, async (t) => {
  const mesh = setUp(t);
  const args = [...(await giveCa(mesh.folder)), '--certificate-life', '3600'];
  const agent = launchAgent({ mesh, args });
  await agent.waitForLog('ready');
  const { state, socket } = placesOf(mesh);
  await until('both', async () => {
    const states = Object.values(await statesOf(agent));
    return states.length === 2 && states.every((one) => one === 'valid');
  });

  await t.test('the verb, status and metrics tell until when', async () => {
    const [alice] = await listOf(agent);
    assert.equal(alice?.identity, idOf('alice'));
    const table = command(process.execPath, [mainProgram(), 'certificates', '--admin', socket]);
    assert.match(table, /^IDENTITY +STATE +SERIAL +NOT BEFORE +NOT AFTER +RENEWS IN +ROOTS/);
    assert.match(table, new RegExp(`^${idOf('alice')} +valid +${alice.serial} `, 'm'));
    const json = command(process.execPath, [
      ...[mainProgram(), 'certificates', '-o', 'json', '--admin', socket],
    ]);
    assert.deepEqual(JSON.parse(json), await listOf(agent));
    const minutes = (Date.parse(alice.notAfter) - Date.now()) / 60_000;
    assert.ok(minutes > 58 && minutes <= 60, `${minutes} min`);
    const status = (await agent.admin('/v1/status')) as StatusView;
    assert.deepEqual([status.certificates.identities, status.certificates.valid], [2, 2]);
    const metrics = await agent.metrics();
    const name = 'podwire_certificate_expiry_timestamp_seconds';
    const ends = Date.parse(alice.notAfter) / 1000;
    assert.ok(metrics.includes(`${name}{identity="${idOf('alice')}"} ${ends}\n`), metrics);
    assert.match(metrics, /^podwire_certificates_issued_total 2$/m);
    assert.match(metrics, /^podwire_certificates_failed_total\{reason="refused"\} 0$/m);
  });

  await t.test('config_dump has them under ztunnel’s keys', async () => {
    const { certificates } = (await agent.admin('/v1/config_dump')) as Dump;
    const [alice] = certificates;
    assert.deepEqual([alice?.identity, alice?.state], [idOf('alice'), 'Available']);
    const [leaf] = alice!.certChain;
    const pem = Buffer.from(leaf!.pem, 'base64').toString();
    const certificate = new X509Certificate(pem);
    assert.equal(certificate.subjectAltName, `URI:${idOf('alice')}`);
    assert.equal(BigInt(leaf!.serialNumber), BigInt(`0x${certificate.serialNumber}`));
    assert.match(leaf!.expirationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(alice!.rootCerts.length, 1);
  });

  await t.test('no key in the log, the state folder, the metrics or the views', async () => {
    const views = ['status', 'certificates', 'config_dump', 'findings', 'resources'];
    const shown = await Promise.all(views.map((view) => agent.admin(`/v1/${view}`)));
    const all = [JSON.stringify(shown), agent.stderr, await agent.metrics(), everythingIn(state)];
    for (const text of all) {
      assert.doesNotMatch(text, /PRIVATE KEY/);
      assert.ok(!text.includes(Buffer.from('PRIVATE KEY').toString('base64').slice(0, 12)));
    }
    assert.ok(!readdirSync(state).includes('ca'), 'the given CA is used, none is made');
  });

  await t.test('a pod that goes takes its certificate along', async () => {
    agent.writeResource('mesh.yaml', meshResources({ pods: [mesh.pod('server')] }));
    await until('one', async () => (await listOf(agent)).length === 1);
    assert.deepEqual(await statesOf(agent), { [idOf('server')]: 'valid' });
  });
});

test('without a word about a CA nothing is made before it is needed', { skip }, async (t) => {
  const mesh = setUp(t);
  const agent = launchAgent({ mesh });
  await agent.waitForLog('ready');
  await until('the manager', async () => (await listOf(agent)).length === 2);
  assert.deepEqual(await statesOf(agent), { [idOf('alice')]: 'idle', [idOf('server')]: 'idle' });
  assert.ok(!readdirSync(placesOf(mesh).state).includes('ca'));
  assert.deepEqual(await agent.admin('/v1/findings'), []);
});

test(
  'a CA that cannot be reached: the agent is ready all the same, and says it',
  { skip },
  async (t) => {
    const mesh = setUp(t);
    const token = join(mesh.folder, 'token');
    writeFileSync(token, 'x', { mode: 0o600 });
    const agent = launchAgent({ mesh, args: ['--ca-address', '127.0.0.1:9', '--ca-token', token] });
    await agent.waitForLog('ready');
    await until('the failure', async () => {
      const states = Object.values(await statesOf(agent));
      return states.length === 2 && states.every((one) => one === 'failed');
    });
    const findings = (await agent.admin('/v1/findings')) as { code: string; resource: string }[];
    assert.deepEqual(
      findings.map(({ code, resource }) => [code, resource]),
      ['alice', 'server'].map((name) => [
        'CERTIFICATE_UNAVAILABLE',
        `ServiceAccount default/${name}`,
      ]),
    );
    const { socket } = placesOf(mesh);
    const page = command(process.execPath, [mainProgram(), 'status', '--admin', socket]);
    assert.match(page, /^certificates +0 of 2 identities, from CA 127\.0\.0\.1:9$/m);
    assert.match(
      page,
      /error: ServiceAccount default\/alice: has no certificate: 127\.0\.0\.1:9: /,
    );
  },
);
