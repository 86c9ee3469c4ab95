/**
 * The roots of a running control: where agents find them, and their rotation on request.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { credentials, status } from '@grpc/grpc-js';
import type { RotationStatus } from '../../../src/control/ca/root-state.ts';
import type { RootsView } from '../../../src/control/roots/roots-view.ts';
import { temporaryDirectory } from '../../support/certificates.ts';
import { startControl, type ControlUnderTest } from '../../support/control.ts';
import { repositoryRoot } from '../../support/repository.ts';
import { RawStream, until } from '../../support/xds-server.ts';

const DAY_MS = 86_400_000;

interface Place {
  readonly control: ControlUnderTest;
  readonly folder: string;
  readonly file: string;
}

async function place(t: TestContext, more: readonly string[] = []): Promise<Place> {
  const folder = await temporaryDirectory(t);
  const [config, state] = [join(folder, 'config'), join(folder, 'state')];
  for (const path of [config, state]) await mkdir(path, { mode: 0o700 });
  const args = ['--config', config, '--state-dir', state, '--drain', '0', ...more];
  const control = startControl(t, folder, args);
  return { control, folder, file: join(state, 'root-cert.pem') };
}

async function podwire({ control }: Place, ...args: readonly string[]): Promise<string> {
  const program = join(repositoryRoot(), 'dist', 'src', 'main.js');
  const all = [program, ...args, '--admin', control.socket];
  return (await promisify(execFile)(process.execPath, all)).stdout;
}

const certificates = (pem: string): X509Certificate[] =>
  (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
    (one) => new X509Certificate(one),
  );

test('the roots are in a file that others may read, and follow a rotation', async (t) => {
  const at = await place(t);
  const address = await at.control.address();
  await until('the file', () =>
    stat(at.file).then(
      () => true,
      () => false,
    ),
  );
  assert.equal((await stat(at.file)).mode & 0o777, 0o644);
  const before = await readFile(at.file, 'utf8');
  assert.equal(certificates(before).length, 1);
  const steady = await at.control.get<RootsView>('/v1/roots');
  assert.equal(steady.bundle, before);
  assert.deepEqual(steady.rotation, {
    phase: 'steady',
    requested: false,
    announcedAt: null,
    switchAt: null,
    dropAt: null,
  });
  assert.equal(await podwire(at, 'ca', 'roots'), before);

  const rotation = JSON.parse(await podwire(at, 'ca', 'rotate', '-o', 'json')) as RotationStatus;
  assert.equal(rotation.phase, 'announced');
  const [announced, switched, dropped] = [
    rotation.announcedAt,
    rotation.switchAt,
    rotation.dropAt,
  ].map((date) => Date.parse(date ?? ''));
  assert.ok(Math.abs(announced! - Date.now()) < 60_000);
  assert.ok(switched! - announced! > 7 * DAY_MS, 'after the longest life of a certificate');
  assert.ok(dropped! - switched! > 7 * DAY_MS);
  await until('both roots', async () => certificates(await readFile(at.file, 'utf8')).length === 2);
  const shown = await at.control.get<{ rotation: RotationStatus }>('/v1/status');
  assert.deepEqual(shown.rotation, rotation);
  assert.match(await podwire(at, 'ca', 'status'), /the next root signs from /);

  const again = await at.control.ask<RotationStatus>('POST', '/v1/ca/rotate');
  assert.deepEqual(again, { ...rotation, requested: true }, 'one at a time');
  const tls = credentials.createSsl(Buffer.from(await readFile(at.file)));
  const stream = new RawStream(address, { tls });
  t.after(() => stream.close());
  stream.subscribe('addresses');
  await stream.until('an answer', () => stream.ended !== undefined);
  assert.equal(stream.ended?.code, status.UNAUTHENTICATED, 'TLS was fine');
});

test('given roots are not rotated here', async (t) => {
  const folder = await temporaryDirectory(t);
  const [cert, key] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const name = ['-subj', '/CN=given', '-addext', 'basicConstraints=critical,CA:TRUE'];
  const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  await promisify(execFile)('openssl', [
    'req',
    '-x509',
    ...curve,
    '-keyout',
    key,
    '-out',
    cert,
    ...name,
    ...usage,
  ]);
  const at = await place(t, ['--ca-cert', cert, '--ca-key', key, '--ca-root', cert]);
  await at.control.address();
  const answer = await at.control.ask<{ error: string }>('POST', '/v1/ca/rotate');
  assert.match(answer.error, /were given/);
  assert.equal((await at.control.get<RootsView>('/v1/roots')).rotation, null);
  await assert.rejects(podwire(at, 'ca', 'rotate'), /control answered 409 .*were given/);
});

test('who opens connections and says nothing keeps nobody out', async (t) => {
  const at = await place(t);
  const address = await at.control.address();
  const port = Number(address.split(':').at(-1));
  const silent: Socket[] = [];
  t.after(() => silent.forEach((socket) => socket.destroy()));
  for (let count = 0; count < 400; count++) {
    silent.push(connect(port, '127.0.0.1').on('error', () => {}));
  }
  interface Status {
    readonly connections: { readonly strangers: number; readonly dropped: number };
  }
  let seen: Status['connections'] | undefined;
  await until('the limit', async () => {
    seen = (await at.control.get<Status>('/v1/status')).connections;
    return seen.dropped >= 144;
  });
  assert.ok((seen?.strangers ?? 0) <= 256, JSON.stringify(seen));
  const tls = credentials.createSsl(Buffer.from(await readFile(at.file)));
  const stream = new RawStream(address, { tls });
  t.after(() => stream.close());
  stream.subscribe('addresses');
  await stream.until('an answer', () => stream.ended !== undefined);
  assert.equal(stream.ended?.code, status.UNAUTHENTICATED);
  const { metrics } = await at.control.get<{ metrics: string }>('/v1/status');
  const page = await (await fetch(`http://${metrics}/metrics`)).text();
  assert.match(page, /podwire_control_connections_dropped_total 1[4-9][0-9]\n/);
  assert.match(page, /podwire_control_connections\{credential="none"\} 2[0-9]+\n/);
  at.control.terminate();
  assert.equal(await at.control.exited(), 0, 'silent connections do not hold it up');
});
