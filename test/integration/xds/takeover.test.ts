/**
 * Two servers, and a file: who is believed when, and that nothing held is lost on the way.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { SnapshotStore } from '../../../src/store/snapshot-store.ts';
import { LastGood } from '../../../src/xds/cache/last-good.ts';
import { ControlPlane } from '../../support/control-plane.ts';
import { command } from '../../support/node.ts';
import { ScriptedServer } from '../../support/scripted-xds.ts';
import {
  codec,
  pod,
  policy,
  serverAt,
  startClient,
  uid,
  type ClientUnderTest,
} from '../../support/xds-client.ts';

const A = {
  addresses: [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')],
  authorizations: [policy('p')],
};

async function planes(t: TestContext, count: number, args: string[] = []): Promise<ControlPlane[]> {
  const started = await Promise.all(Array.from({ length: count }, () => ControlPlane.start(args)));
  for (const one of started) t.after(() => one.kill());
  return started;
}

function removedNames({ updates }: ClientUnderTest): readonly string[] {
  return updates.flatMap(({ addresses }) => addresses?.removals ?? []);
}

suite('--xds a,b', () => {
  for (const variant of ['delta', 'sotw'] as const) {
    test(`the backup takes over and gives back, ${variant}`, async (t) => {
      const [first, second] = await planes(t, 2);
      await first!.serve(A);
      await second!.serve({ ...A, addresses: [...A.addresses, pod('c', '10.0.0.3')] });
      const under = startClient({
        servers: [serverAt(first!.port), serverAt(second!.port)],
        protocol: variant,
        takeoverMs: 200,
      });
      t.after(() => under.client.close());
      const { store, until } = under;
      const activeOf = (): number =>
        under.client.status().servers.findIndex(({ active }) => active);
      await until('a and b', () => store.current.workloads.size === 2);
      assert.equal(activeOf(), 0);
      assert.equal(under.client.status().servers[1]!.state, 'idle', 'the backup is left in peace');

      await first!.kill();
      await until('the backup’s word counts', () => activeOf() === 1);
      await until('c', () => store.current.workloads.size === 3);

      const again = await ControlPlane.start(['-hold', `-port=${first!.port}`]);
      t.after(() => again.kill());
      await again.serve({ ...A, addresses: [...A.addresses, pod('d', '10.0.0.4')] });
      await until('the first is back', () => activeOf() === 0, 20_000);
      await until('d', () => store.current.workloads.has(uid('d')));
      await until('c is gone', () => !store.current.workloads.has(uid('c')));
      assert.equal(under.client.status().servers[1]!.state, 'idle');
      assert.deepEqual(removedNames(under), [uid('c')], 'nothing else was ever removed');
      assert.ok(store.current.authorizations.has('default/p'));
    });
  }

  test('a server that hangs in mid-life is noticed, and nothing is lost', async (t) => {
    const [first, second] = await planes(t, 2);
    await first!.serve(A);
    await second!.serve({ ...A, addresses: [...A.addresses, pod('c', '10.0.0.3')] });
    const under = startClient({
      servers: [serverAt(first!.port), serverAt(second!.port)],
      takeoverMs: 200,
      channel: {
        rootFile: undefined,
        tokenFile: undefined,
        serverName: undefined,
        clusterId: 'Kubernetes',
        keepalive: { quietMs: 1000, answerMs: 500 },
      },
    });
    t.after(() => under.client.close());
    const { store, until } = under;
    const states = () => under.client.status().servers;
    await until('a and b', () => store.current.workloads.size === 2);
    assert.ok(states()[0]!.active);

    first!.freeze(true);
    await until('the backup’s word counts', () => states()[1]!.active);
    await until('c', () => store.current.workloads.size === 3);
    await second!.kill();
    await sleep(1_000);
    assert.equal(store.current.workloads.size, 3, 'nobody is left, and what was said stays');

    first!.freeze(false);
    await until('the first is back', () => states()[0]!.active, 20_000);
    await until('c is gone', () => store.current.workloads.size === 2);
    assert.deepEqual(removedNames(under), [uid('c')], 'nothing else was ever removed');
  });

  test('a server that is there and says nothing is no server', async (t) => {
    const silent = await ScriptedServer.start();
    t.after(() => silent.stop());
    const [second] = await planes(t, 1);
    await second!.serve(A);
    const under = startClient({
      servers: [serverAt(silent.port), serverAt(second!.port)],
      takeoverMs: 200,
    });
    t.after(() => under.client.close());
    await under.until('the second', () => under.store.current.workloads.size === 2);
    const [first, other] = under.client.status().servers;
    assert.deepEqual([first!.state, first!.active, other!.active], ['up', false, true]);
  });
});

suite('TLS and token', () => {
  test('the root is checked, the token is read for every stream', async (t) => {
    const folder = temporaryFolder(t);
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=control', '-addext', 'subjectAltName=DNS:control.test'];
    const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    command('openssl', [
      ...request,
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '1',
      ...subject,
    ]);
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'old\n');
    const server = await ControlPlane.start([`-cert=${cert}`, `-key=${key}`, '-token=new']);
    t.after(() => server.kill());
    await server.serve(A);
    const servers = [{ ...serverAt(server.port), plaintext: false }];
    const channel = { rootFile: cert, tokenFile, serverName: 'control.test', clusterId: 'c' };

    const untrusted = startClient({ servers, channel: { ...channel, rootFile: undefined } });
    t.after(() => untrusted.client.close());
    const misnamed = startClient({ servers, channel: { ...channel, serverName: undefined } });
    t.after(() => misnamed.client.close());
    const under = startClient({ servers, channel });
    t.after(() => under.client.close());
    const errorOf = ({ client }: ClientUnderTest): string => client.status().servers[0]!.error;
    await under.until('the token is refused', () => /UNAUTHENTICATED/.test(errorOf(under)));
    writeFileSync(tokenFile, 'new\n');
    await under.until('the token is taken', () => under.store.current.workloads.size === 2, 20_000);
    await untrusted.until('no trust', () => /self.signed/i.test(errorOf(untrusted)));
    await misnamed.until('no name', () => /altnames|does not match/i.test(errorOf(misnamed)));
    rmSync(tokenFile);
    await server.endStreams();
    await under.until('no token, no stream', () => /ENOENT/.test(errorOf(under)));
    assert.equal(under.store.current.workloads.size, 2);
  });
});

suite('the last good configuration', () => {
  const logger = pino({ level: 'silent' });

  test('stands in while no server answers, and goes when one does', async (t) => {
    const path = join(temporaryFolder(t), 'cache.bin');
    const [server] = await planes(t, 1);
    await server!.serve(A);
    const lastGood = (): LastGood => new LastGood({ path, codec, log: logger, quietMs: 10 });
    const first = startClient({ servers: [serverAt(server!.port)], lastGood: lastGood() });
    await first.until('a and b', () => first.store.current.workloads.size === 2);
    await first.until('the file', () => existsSync(path));
    await first.client.close();
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await server!.kill();

    const second = startClient({
      servers: [serverAt(server!.port)],
      lastGood: lastGood(),
      coldStartMs: 100,
    });
    t.after(() => second.client.close());
    await second.until('the file’s', () => second.store.current.workloads.size === 2);
    const { stale } = second.client.status();
    assert.ok(stale !== null && stale.ageSeconds < 60, JSON.stringify(stale));
    assert.ok(second.store.current.authorizations.has('default/p'));

    const again = await ControlPlane.start(['-hold', `-port=${server!.port}`]);
    t.after(() => again.kill());
    await again.serve({ ...A, addresses: [pod('b', '10.0.0.9'), pod('c', '10.0.0.3')] });
    await second.until('the server’s', () => second.store.current.workloads.has(uid('c')), 20_000);
    assert.equal(second.client.status().stale, null);
    await second.until('a is gone', () => !second.store.current.workloads.has(uid('a')));
    assert.deepEqual(second.store.current.workloads.get(uid('b'))?.addresses, ['10.0.0.9']);
  });

  test('a server that answers in time makes it unneeded', async (t) => {
    const path = join(temporaryFolder(t), 'cache.bin');
    const [server] = await planes(t, 1);
    await server!.serve(A);
    const lastGood = new LastGood({ path, codec, log: logger, quietMs: 10 });
    const under = startClient({ servers: [serverAt(server!.port)], lastGood, coldStartMs: 300 });
    t.after(() => under.client.close());
    await under.until('a and b', () => under.store.current.workloads.size === 2);
    await sleep(500);
    assert.equal(under.client.status().stale, null);
  });

  for (const [name, damage, reason] of [
    ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length - 7), /damaged or cut short/],
    ['one bit changed', (bytes: Buffer) => flipped(bytes, bytes.length / 2), /damaged/],
    [
      'of another format',
      (bytes: Buffer) =>
        Buffer.from(bytes.toString('latin1').replace('cache 1', 'cache 0'), 'latin1'),
      /another version/,
    ],
    ['something else', () => Buffer.from('{"hello": 1}'), /no saved configuration/],
    ['empty', () => Buffer.alloc(0), /no saved configuration/],
  ] as const) {
    test(`a file that is ${name} is not used, and says why`, async (t) => {
      const path = join(temporaryFolder(t), 'cache.bin');
      await saved(path);
      writeFileSync(path, damage(readFileSync(path)));
      assert.match(await reasonOf(path), reason);
    });
  }

  test('nor is one that others could have written', async (t) => {
    const path = join(temporaryFolder(t), 'cache.bin');
    await saved(path);
    chmodSync(path, 0o666);
    assert.match(await reasonOf(path), /others may write/);
    if (process.getuid?.() !== 0) return;
    chmodSync(path, 0o600);
    command('chown', ['12345', path]);
    assert.match(await reasonOf(path), /belongs to user 12345/);
  });

  async function saved(path: string): Promise<void> {
    const store = new SnapshotStore();
    store.apply({
      addresses: { upserts: A.addresses, removals: [] },
      authorizations: { upserts: A.authorizations, removals: [] },
    });
    const lastGood = new LastGood({ path, codec, log: logger, quietMs: 1 });
    lastGood.schedule(() => store.current);
    await lastGood.close();
    const again = await new LastGood({ path, codec, log: logger }).load();
    assert.equal(again?.update.addresses?.upserts.length, 2);
  }

  async function reasonOf(path: string): Promise<string> {
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    assert.equal(await new LastGood({ path, codec, log }).load(), undefined);
    return lines.join('');
  }
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[Math.floor(at)]! ^= 1;
  return copy;
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-xds-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
