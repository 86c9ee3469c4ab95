/**
 * The folder: trust, saves of every kind, and that a bad save changes nothing but the findings.
 */
import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  mkdir,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigFolder } from '../../../src/control/sources/file/folder.ts';
import { PodwireError } from '../../../src/errors.ts';
import { selfSigned } from '../../support/certificate.ts';
import { control, pod, policy, save, temporaryFolder } from './temporary-folder.ts';

const a = pod('a', '10.0.0.1');
const b = pod('b', '10.0.0.2');
const root = process.geteuid?.() === 0;

test('a file is added, changed and removed', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a, 'notes.txt': 'x', '.hidden.yaml': b });
  const { watched } = await control(t, dir);
  assert.deepEqual(watched.workloads, ['shop/a']);
  await save(dir, 'b.yaml', b);
  await watched.until(() => watched.workloads.length === 2);
  await writeFile(join(dir, 'b.yaml'), pod('b', '10.0.0.3'));
  await watched.until(() => watched.workload('shop/b')?.addresses[0] === '10.0.0.3');
  await unlink(join(dir, 'b.yaml'));
  await watched.until(() => watched.workloads.length === 1);
});

test('a save that does not parse keeps the last good content, and says why', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': `${a}---${b}` });
  const { watched } = await control(t, dir);
  await save(dir, 'a.yaml', `${a}---\nkind: Pod\n  oops: [`);
  await watched.until(() => watched.codes.includes('YAML_INVALID'));
  assert.deepEqual(watched.workloads, ['shop/a', 'shop/b']);
  const [finding] = watched.last!.findings;
  assert.match(finding!.message, /^line 1[0-9]: .*last good content stays in force/s);
  await save(dir, 'a.yaml', a);
  await watched.until(() => watched.workloads.length === 1);
  assert.deepEqual(watched.codes, []);
});

test('a file emptied before it is written keeps its content', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  const { watched } = await control(t, dir);
  await writeFile(join(dir, 'a.yaml'), '# later\n');
  await watched.until(() => watched.codes.length > 0);
  assert.deepEqual([watched.codes, watched.workloads], [['YAML_INVALID'], ['shop/a']]);
});

test('a file that is too large is not read, and what it said before stays', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a, 'b.yaml': b });
  const { watched } = await control(t, dir);
  // sparse: it takes no room on the disk
  await truncate(join(dir, 'a.yaml'), 65 * 1024 * 1024);
  await watched.until(() => watched.codes.includes('FILE_TOO_LARGE'));
  assert.deepEqual([watched.codes, watched.workloads], [['FILE_TOO_LARGE'], ['shop/a', 'shop/b']]);
  await save(dir, 'a.yaml', pod('a', '10.0.0.9'));
  await watched.until(() => watched.workload('shop/a')?.addresses[0] === '10.0.0.9');
  assert.deepEqual(watched.codes, []);
});

test('an address moves from one pod to another in one save', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': `${a}---${b}` });
  const { watched } = await control(t, dir);
  await save(dir, 'a.yaml', `${pod('a', '10.0.0.2')}---${pod('b', '10.0.0.1')}`);
  await watched.until(() => watched.workload('shop/a')?.addresses[0] === '10.0.0.2');
  assert.deepEqual(watched.workload('shop/b')!.addresses, ['10.0.0.1']);
  assert.deepEqual(watched.codes, []);
});

test('the loser of a conflict comes into force when the winner goes', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a, 'b.yaml': pod('b', '10.0.0.1') });
  const { watched } = await control(t, dir);
  assert.deepEqual([watched.codes, watched.workloads], [['ADDRESS_CONFLICT'], ['shop/a']]);
  await unlink(join(dir, 'a.yaml'));
  await watched.until(() => watched.workloads.includes('shop/b'));
  assert.deepEqual([watched.codes, watched.workloads], [[], ['shop/b']]);
});

test('what belongs together follows a change of either side', async (t) => {
  const service = (label: string) => `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: ${label} }, ports: [{ port: 80 }] }
`;
  const select = (label: string) =>
    policy(`selector: { matchLabels: { app: ${label} } }\nrules: [{}]`);
  const dir = await temporaryFolder(t, {
    'a.yaml': a,
    'b.yaml': b,
    's.yaml': service('a'),
    'p.yaml': select('a'),
  });
  const { watched } = await control(t, dir);
  const attached = (name: string): number =>
    watched.workload(`shop/${name}`)!.services.size +
    watched.workload(`shop/${name}`)!.authorizationPolicies.length;
  assert.deepEqual([attached('a'), attached('b')], [2, 0]);
  await save(dir, 's.yaml', service('b'));
  await watched.until(() => attached('b') === 1);
  await save(dir, 'p.yaml', select('b'));
  await watched.until(() => attached('b') === 2);
  assert.equal(attached('a'), 0);
  await save(dir, 'p.yaml', select('nobody'));
  await watched.until(() => watched.codes.includes('SELECTOR_MATCHES_NOTHING'));
  await save(dir, 'b.yaml', b.replace('app: b', 'app: nobody'));
  await watched.until(() => !watched.findings.some((line) => line.includes('Policy')));
});

test('a save without a difference is no update', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  const { watched } = await control(t, dir);
  await save(dir, 'a.yaml', a);
  await save(dir, 'b.yaml', b);
  await watched.until(() => watched.workloads.length === 2);
  assert.equal(watched.updates, 2);
  assert.deepEqual(watched.last!.mesh.addresses.upserts.length, 1);
});

test('a ConfigMap: files are links into ..data, which is swapped', async (t) => {
  const dir = await temporaryFolder(t);
  const publish = async (version: string, text: string): Promise<void> => {
    await mkdir(join(dir, `..${version}`));
    await writeFile(join(dir, `..${version}`, 'a.yaml'), text);
    await symlink(`..${version}`, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  await publish('1', a);
  await symlink('..data/a.yaml', join(dir, 'a.yaml'));
  const { watched } = await control(t, dir);
  assert.deepEqual(watched.workloads, ['shop/a']);
  await publish('2', `${a}---${b}`);
  await watched.until(() => watched.workloads.length === 2);
});

test('the folder itself is replaced', async (t) => {
  const parent = await temporaryFolder(t);
  const dir = join(parent, 'config');
  await mkdir(dir);
  await writeFile(join(dir, 'a.yaml'), a);
  const { watched } = await control(t, dir);
  await rename(dir, join(parent, 'old'));
  await watched.until(() => watched.codes.includes('FOLDER_UNREADABLE'));
  assert.deepEqual(watched.workloads, ['shop/a'], 'the last good state stays');
  await mkdir(dir);
  await writeFile(join(dir, 'b.yaml'), b);
  await watched.until(() => watched.workloads.includes('shop/b'));
  assert.deepEqual([watched.codes, watched.workloads], [[], ['shop/b']]);
});

test('after close nothing is delivered', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  const { watched, control: running } = await control(t, dir);
  await running.close();
  await running.close();
  await save(dir, 'b.yaml', b);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(watched.updates, 1);
});

test('a folder that is not there is refused, with what to do', async (t) => {
  const dir = join(await temporaryFolder(t), 'nowhere');
  await assert.rejects(control(t, dir), (error) => {
    assert.ok(error instanceof PodwireError);
    assert.equal(error.code, 'ERR_CONFIG');
    assert.match(error.message, /nowhere/);
    assert.ok(error.hint);
    return true;
  });
});

test('a folder that others can write to is refused, with the command that mends it', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  await chmod(dir, 0o775);
  await assert.rejects(control(t, dir), { code: 'ERR_CONFIG', hint: /chmod go-w/ });
});

test('a folder of another user is refused', { skip: !root && 'needs root' }, async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  await chown(dir, 65534, 65534);
  await assert.rejects(control(t, dir), { code: 'ERR_CONFIG', hint: /chown root/ });
});

test('a folder that loses its trust later keeps the last good state', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  const { watched } = await control(t, dir);
  await chmod(dir, 0o777);
  await save(dir, 'b.yaml', b);
  await watched.until(() => watched.codes.includes('FOLDER_NOT_TRUSTED'));
  assert.deepEqual(watched.workloads, ['shop/a']);
  await chmod(dir, 0o755);
  await watched.until(() => watched.workloads.length === 2);
});

test('a file that others can write to, or that leads out of the folder, is not read', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a, 'b.yaml': b });
  const outside = await temporaryFolder(t, { 'c.yaml': pod('c', '10.0.0.3') });
  await chmod(join(dir, 'b.yaml'), 0o666);
  await symlink(join(outside, 'c.yaml'), join(dir, 'c.yaml'));
  const { watched } = await control(t, dir);
  assert.deepEqual(watched.workloads, ['shop/a']);
  assert.deepEqual(watched.findings, [
    'FILE_NOT_TRUSTED | b.yaml |  | ',
    'FILE_NOT_TRUSTED | c.yaml |  | ',
  ]);
  await chmod(join(dir, 'b.yaml'), 0o644);
  await watched.until(() => watched.workloads.length === 2);
});

test('a file that cannot be read is one finding', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a });
  await mkdir(join(dir, 'b.yaml'));
  await symlink('nothing', join(dir, 'c.yaml'));
  const { watched } = await control(t, dir);
  assert.deepEqual(watched.findings, ['FILE_UNREADABLE | b.yaml |  | ']);
  await rm(join(dir, 'b.yaml'), { recursive: true });
  await watched.until(() => watched.codes.length === 0);
});

test('a scan of named files looks at these alone, and one of another entry at all', async (t) => {
  const dir = await temporaryFolder(t, { 'a.yaml': a, 'b.yaml': b });
  const folder = new ConfigFolder(dir);
  assert.equal((await folder.scan()).changed.size, 2);
  await writeFile(join(dir, 'a.yaml'), pod('a', '10.0.0.7'));
  await writeFile(join(dir, 'b.yaml'), pod('b', '10.0.0.8'));
  const names = async (...touched: readonly string[]) => [
    ...(await folder.scan(new Set(touched))).changed.keys(),
  ];
  assert.deepEqual(await names('a.yaml', 'gone.tmp'), ['a.yaml']);
  assert.deepEqual(await names('a.yaml'), []);
  await writeFile(join(dir, 'other.txt'), 'x');
  assert.deepEqual(await names('other.txt'), ['b.yaml']);
  await unlink(join(dir, 'a.yaml'));
  const { changed } = await folder.scan(new Set(['a.yaml']));
  assert.deepEqual([...changed], [['a.yaml', undefined]]);
  assert.deepEqual(await names('a.yaml'), []);
});

test('what a file links to is followed: a mounted ConfigMap changes by its ..data alone', async (t) => {
  const dir = await temporaryFolder(t);
  const version = async (name: string, text: string) => {
    await mkdir(join(dir, name));
    await writeFile(join(dir, name, 'a.yaml'), text);
    await symlink(name, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
  };
  await version('..1', a);
  await symlink('..data/a.yaml', join(dir, 'a.yaml'));
  const { watched } = await control(t, dir);
  await version('..2', pod('a', '10.0.0.9'));
  await watched.until(() => watched.workload('shop/a')?.addresses[0] === '10.0.0.9');
});

test('Secrets of the folder serve its Gateways, and a broken save shows nothing of them', async (t) => {
  const { cert, key } = selfSigned();
  const gateway = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gw, namespace: edge }
spec:
  selector: { istio: gateway }
  servers:
  - { hosts: ['*'], port: { number: 443, name: a, protocol: HTTPS }, tls: { mode: SIMPLE, credentialName: cert } }
`;
  const secret = (pem: string): string => `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: { name: cert, namespace: edge }
stringData:
  tls.crt: |
    ${cert.trim().replaceAll('\n', '\n    ')}
  tls.key: |
    ${pem.trim().replaceAll('\n', '\n    ')}
`;
  const dir = await temporaryFolder(t, { 'gateway.yaml': gateway });
  const { watched } = await control(t, dir);
  const missing = (): string[] => watched.codes.filter((code) => code.startsWith('SECRET'));
  assert.deepEqual(missing(), ['SECRET_UNKNOWN']);
  await save(dir, 'secret.yaml', secret(key));
  await watched.until(() => missing().length === 0);
  const [served] = watched.last!.mesh.secrets?.upserts ?? [];
  assert.equal(served?.type === 'certificate' && served.key.trim(), key.trim());
  for (const broken of [
    secret(selfSigned().key),
    `${secret(key)}  oops: [`,
    `${secret(key)}\t*x`,
  ]) {
    await save(dir, 'secret.yaml', broken);
    await watched.until(() =>
      watched.codes.some((code) => /SECRET_INVALID|YAML_INVALID/.test(code)),
    );
    const shown = JSON.stringify(watched.last!.findings);
    for (const line of key.split('\n').slice(1, -2)) assert.ok(!shown.includes(line), shown);
    await save(dir, 'secret.yaml', secret(key));
    await watched.until(() => watched.codes.every((code) => code === 'SELECTOR_MATCHES_NOTHING'));
  }
});
