/**
 * A machine joins `podwire control` by a token, reads the mesh by its certificate over mTLS, renews it, and says what is
 * wrong when it is refused.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { chmod, chown, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createRoot } from '../../../src/control/ca/certificate.ts';
import type { StreamStatus } from '../../../src/xds/server/status.ts';
import type { RootState } from '../../../src/control/ca/root-state.ts';
import { freePorts } from '../../support/free-ports.ts';
import { startControl, type ControlUnderTest } from '../../support/control.ts';
import {
  ControlPlace,
  startNode,
  type JoiningNode,
  type NodeOptions,
} from '../../support/joining-node.ts';

const pod = (name: string, ip: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop }
spec: { nodeName: vm-1, containers: [{ name: main, image: 'example/main:1' }] }
status: { podIPs: [{ ip: ${ip} }] }
`;
const CREDENTIAL = 'node-credential.pem';
const ROOTS = 'node-roots.pem';

interface Site {
  readonly place: ControlPlace;
  readonly control: ControlUnderTest;
  readonly address: string;
  readonly roots: string;
  /** state folder of the node */
  readonly folder: string;
  readonly node: (options?: Partial<NodeOptions>) => Promise<JoiningNode>;
}

async function site(t: TestContext): Promise<Site> {
  const place = await ControlPlace.make(t);
  await place.write('a.yaml', pod('a', '10.0.0.1'));
  const control = startControl(t, place.folder, place.args);
  const address = await control.address();
  const roots = await place.roots();
  const folder = join(place.folder, 'node-state');
  const node = async (options: Partial<NodeOptions> = {}): Promise<JoiningNode> =>
    (await startNode(t, { folder, roots, servers: [address], ...options })) ??
    assert.fail('no credential');
  return { place, control, address, roots, folder, node };
}

async function hasMesh(node: JoiningNode, count = 1): Promise<void> {
  await node.until(`${count} workloads`, () => node.store.current.workloads.size === count);
}

async function says(node: JoiningNode, error: RegExp, timeoutMs = 15_000): Promise<void> {
  await node.until(
    `${error} in ${node.credential.status().error}`,
    () => error.test(node.credential.status().error),
    timeoutMs,
  );
}

async function nodesOf(control: ControlUnderTest): Promise<StreamStatus[]> {
  return (await control.get<{ nodes: StreamStatus[] }>('/v1/nodes')).nodes;
}

test('a machine joins, is known by its certificate, and needs no token after that', async (t) => {
  const { place, control, folder, node } = await site(t);
  const tokenFile = await place.token('vm-1');
  const first = await node({ tokenFile });
  await hasMesh(first);
  const { name, error, expires } = first.credential.status();
  assert.deepEqual([name, error], ['vm-1', '']);
  const days = (Date.parse(expires) - Date.now()) / 86_400_000;
  assert.ok(days > 6.9 && days <= 7, expires);
  assert.deepEqual(
    (await nodesOf(control)).map((one) => one.node),
    ['vm-1'],
  );
  assert.deepEqual((await readdir(folder)).sort(), [CREDENTIAL, ROOTS]);
  for (const file of [CREDENTIAL, ROOTS]) {
    assert.equal((await stat(join(folder, file))).mode & 0o777, 0o600);
  }
  await first.stop();

  const before = await readFile(join(folder, CREDENTIAL), 'utf8');
  const same = await node({ tokenFile });
  await hasMesh(same);
  await same.stop();
  await rm(tokenFile);
  for (const again of [{ tokenFile }, {}]) {
    const next = await node(again);
    await hasMesh(next);
    assert.equal(next.credential.status().error, '');
    await next.stop();
  }
  assert.equal(await readFile(join(folder, CREDENTIAL), 'utf8'), before, 'nothing was asked for');

  const anew = await node({ tokenFile: await place.token('vm-2') });
  await hasMesh(anew);
  assert.equal(anew.credential.status().name, 'vm-2', 'another token: joined anew');
});

test('a lost answer: the same key comes again', async (t) => {
  const { place, folder, node } = await site(t);
  const tokenFile = await place.token('vm-1');
  await (await node({ tokenFile })).stop();
  const text = await readFile(join(folder, CREDENTIAL), 'utf8');
  const key = createPrivateKey(text).export({ format: 'pem', type: 'pkcs8' });
  // as if the machine had gone down between control's answer and the file
  await rm(join(folder, CREDENTIAL));
  await writeFile(join(folder, 'node-key.pem'), key, { mode: 0o600 });
  await writeFile(join(folder, '.new-0'), key, { mode: 0o600 });
  const again = await node({ tokenFile });
  await hasMesh(again);
  assert.deepEqual((await readdir(folder)).sort(), [CREDENTIAL, ROOTS]);
});

test('certificates are renewed while the mesh goes on, and outlive the first one', async (t) => {
  const { place, control, node } = await site(t);
  const tokenFile = await place.token('vm-1');
  const under = await node({ tokenFile, lifeSeconds: 6 });
  await hasMesh(under);
  const { expires } = under.credential.status();
  await under.until('3 renewals', () => under.credential.status().renewals >= 3, 40_000);
  assert.ok(Date.now() > Date.parse(expires), 'the first one is over');
  await place.write('b.yaml', pod('b', '10.0.0.2'));
  await hasMesh(under, 2);
  assert.equal(under.credential.status().error, '');
  assert.ok((await nodesOf(control)).length <= 2, 'one stream, and perhaps one that ends');
  const removals = under.updates.flatMap(({ addresses }) => addresses?.removals ?? []);
  assert.deepEqual(removals, [], 'no change of streams took anything away');
  // control is away for longer than the certificate lives
  await control.kill();
  await says(under, /ended .*podwire token create --name vm-1/);
  assert.throws(() => under.credential.current(), /ended/);
  assert.equal(under.store.current.workloads.size, 2, 'the mesh stays');
});

test('a revoked node says so, keeps the mesh, and joins again by a new token', async (t) => {
  const { place, control, node } = await site(t);
  const tokenFile = await place.token('vm-1');
  const under = await node({ tokenFile });
  await hasMesh(under);
  await place.revoke('vm-1');
  await says(under, /refuses the certificate of node vm-1: it was revoked.*token create/, 20_000);
  assert.deepEqual(await nodesOf(control), []);
  assert.equal(under.store.current.workloads.size, 1);
  await copyFile(await place.token('vm-1'), tokenFile);
  await place.write('b.yaml', pod('b', '10.0.0.2'));
  await under.until('joined again', () => under.store.current.workloads.size === 2, 30_000);
  await says(under, /^$/);
});

test('who took the token first has it: another machine is refused, and says why', async (t) => {
  const { place, folder, node } = await site(t);
  const tokenFile = await place.token('vm-1');
  const first = await node({ tokenFile });
  const thief = await node({ tokenFile, folder: `${folder}-2` });
  assert.match(
    thief.credential.status().error,
    /refuses join token [0-9a-f]{16} .*another machine/,
  );
  assert.equal(thief.credential.status().name, '');
  assert.equal(thief.store.current.workloads.size, 0);
  await hasMesh(first);
});

test('another root, a token that others can read, or none: refused, and the token is not sent', async (t) => {
  const { place, folder, node, roots } = await site(t);
  const now = Date.now();
  const validity = { notBefore: new Date(now - 1000), notAfter: new Date(now + 3_600_000) };
  const wrong = join(place.folder, 'wrong.pem');
  await writeFile(wrong, (await createRoot('cluster.local', validity)).certificate);
  const tokenFile = await place.token('vm-1');
  const misled = await node({ tokenFile, roots: wrong });
  assert.match(misled.credential.status().error, /certificate/);
  await misled.stop();
  await chmod(tokenFile, 0o644);
  const open = await node({ tokenFile });
  assert.match(open.credential.status().error, /can be used by others/);
  await open.stop();
  const none = await node({ tokenFile: join(folder, 'none') });
  assert.match(none.credential.status().error, /none is missing: make a new token/);
  await none.stop();
  assert.equal(await startNode(t, { folder, roots, servers: ['127.0.0.1:1'] }), undefined);
  await chmod(tokenFile, 0o600);
  await hasMesh(await node({ tokenFile }));
});

test('a credential that is damaged, open to others, or another user’s is not used', async (t) => {
  const { place, folder, node } = await site(t);
  const path = join(folder, CREDENTIAL);
  const tokenFile = await place.token('vm-1');
  await (await node({ tokenFile })).stop();
  const good = await readFile(path, 'utf8');
  const spoil: [string, RegExp, () => Promise<void>][] = [
    ['half', /is damaged.*make a new token/, () => writeFile(path, good.slice(0, 400))],
    [
      'no certificate',
      /is damaged/,
      () => writeFile(path, good.slice(0, good.indexOf('-----BEGIN C'))),
    ],
    ['mode', /can be used by others/, () => chmod(path, 0o640)],
  ];
  if (process.geteuid?.() === 0) {
    spoil.push(['owner', /belongs to user 65534/, () => chown(path, 65534, 65534)]);
  }
  for (const [what, error, apply] of spoil) {
    await t.test(what, async () => {
      await writeFile(path, good);
      await chmod(path, 0o600);
      await apply();
      const under = await node();
      assert.match(under.credential.status().error, error);
      assert.throws(() => under.credential.current(), error);
      await under.stop();
    });
  }
  await hasMesh(await node({ tokenFile: await place.token('vm-1') }));
});

test('control has another root: the old certificate is refused, a new token helps', async (t) => {
  const { place, folder, node } = await site(t);
  const first = await node({ tokenFile: await place.token('vm-1') });
  await hasMesh(first);
  await first.stop();
  const other = await site(t);
  const tokenFile = join(other.place.folder, 'token');
  const under = await other.node({ folder, tokenFile });
  await says(under, /refuses the certificate of node vm-1.*control has another root.*put it in/);
  assert.equal(under.store.current.workloads.size, 0);
  await copyFile(await other.place.token('vm-3'), tokenFile);
  await under.until('joined', () => under.store.current.workloads.size === 1, 30_000);
  assert.equal(under.credential.status().name, 'vm-3');
});

/** The newest roots of a control that is not running, as they are after so much time. */
async function age({ state }: ControlPlace, change: (roots: RootState) => void): Promise<void> {
  const folder = join(state, 'ca');
  const newest = (await readdir(folder))
    .filter((name) => name.startsWith('roots-'))
    .sort()
    .at(-1)!;
  const roots = JSON.parse(await readFile(join(folder, newest), 'utf8')) as RootState;
  change(roots);
  await writeFile(join(folder, newest), JSON.stringify(roots));
}

test('a rotation of the roots needs no new file on the machine: what came with the certificate counts', async (t) => {
  const place = await ControlPlace.make(t);
  await place.write('a.yaml', pod('a', '10.0.0.1'));
  const [port] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const start = async (): Promise<ControlUnderTest> => {
    const control = startControl(t, place.folder, [...place.args, '--listen', address]);
    await control.address();
    return control;
  };
  let control = await start();
  const roots = await place.roots();
  const folder = join(place.folder, 'node-state');
  const tokenFile = await place.token('vm-1');
  const options = { folder, roots, servers: [address], tokenFile, lifeSeconds: 16 };
  const under = await startNode(t, options);
  assert.ok(under);
  const held = async (): Promise<number> =>
    (await readFile(join(folder, ROOTS), 'utf8')).split('-----BEGIN').length - 1;
  const renewed = async (): Promise<void> => {
    const { renewals } = under.credential.status();
    await under.until('a renewal', () => under.credential.status().renewals > renewals, 40_000);
  };
  let pods = 1;
  const works = async (): Promise<void> => {
    pods++;
    await place.write(`p${pods}.yaml`, pod(`p${pods}`, `10.0.0.${pods}`));
    await under.until(`${pods} pods`, () => under.store.current.workloads.size === pods, 20_000);
  };
  const restart = async (change: (roots: RootState) => void): Promise<void> => {
    control.terminate();
    await control.exited();
    await age(place, change);
    control = await start();
  };
  await hasMesh(under);
  assert.equal(await held(), 1);

  await control.ask('POST', '/v1/ca/rotate');
  await renewed();
  assert.equal(await held(), 2, 'the next root, before it signs');
  await restart((state) => Object.assign(state.next!, { announcedAt: 0 }));
  assert.match(JSON.stringify(await control.get('/v1/status')), /"phase":"retiring"/);
  await works();
  const other = { ...options, folder: `${folder}-2`, tokenFile: await place.token('vm-2') };
  const late = await startNode(t, other);
  assert.match(late?.credential.status().error ?? '', /certificate/, 'its file has the old root');
  await late?.stop();

  await renewed();
  await restart((state) => Object.assign(state.retiring[0]!, { retiredAt: 0 }));
  assert.match(JSON.stringify(await control.get('/v1/status')), /"phase":"steady"/);
  await works();
  await renewed();
  assert.equal(await held(), 1, 'the new one alone');
  assert.equal(under.credential.status().error, '');
  await under.stop();
  // also after a restart of the agent, the file of the operator being the old one
  const again = await startNode(t, options);
  assert.ok(again);
  await hasMesh(again, pods);
  await again.stop();

  await writeFile(join(folder, ROOTS), 'damaged');
  const without = await startNode(t, options);
  assert.ok(without);
  const error = (): string => without.client.status().servers[0]?.error ?? '';
  await without.until('only the old root is known', () => /certificate/.test(error()));
});
