/**
 * Revocation lists: what is read from them, and a file that changes, goes bad, and gets better.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { CrlFile } from '../../../src/identity/crl-file.ts';
import { readCrls } from '../../../src/identity/crl-reader.ts';
import { issuerHashOfCertificate } from '../../../src/identity/issuer-hash.ts';
import { isRevoked, type RevocationList } from '../../../src/identity/revocation-list.ts';
import { createLog } from '../../../src/log.ts';
import { newKeys, openssl, temporaryDirectory } from '../../support/certificates.ts';
import { IssuingCa } from '../../support/issuing-ca.ts';

const ROOT = await IssuingCa.make('root');
const OTHER = await IssuingCa.make('other');
const keys = await newKeys();
const leafOf = async (ca: IssuingCa, serial: string): Promise<X509Certificate> =>
  new X509Certificate(await ca.leaf({ key: keys.publicKey, uris: ['spiffe://td/a'], serial }));

const revokedBy = (list: RevocationList | undefined, { serialNumber, raw }: X509Certificate) =>
  isRevoked(list, serialNumber, issuerHashOfCertificate(raw));

test('a certificate is revoked by its issuer’s list only, whatever the form of the serial', async () => {
  const list = readCrls((await ROOT.crl(['4a11', '00ff03'])) + (await OTHER.crl(['4b22'])));
  assert.deepEqual([list.lists, list.entries], [2, 3]);
  assert.ok(revokedBy(list, await leafOf(ROOT, '4a11')));
  assert.ok(revokedBy(list, await leafOf(ROOT, '00ff03')));
  assert.ok(revokedBy(list, await leafOf(OTHER, '4b22')));
  assert.ok(!revokedBy(list, await leafOf(OTHER, '4a11')));
  assert.ok(!revokedBy(list, await leafOf(ROOT, '4a12')));
  assert.ok(!revokedBy(undefined, await leafOf(ROOT, '4a11')));
});

test('two lists of one issuer are one', async () => {
  const list = readCrls((await ROOT.crl(['4a11'])) + (await ROOT.crl(['4a12'])));
  assert.ok(revokedBy(list, await leafOf(ROOT, '4a11')));
  assert.ok(revokedBy(list, await leafOf(ROOT, '4a12')));
});

test('a list that openssl wrote', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = (name: string): string => join(dir, name);
  await writeFile(path('index.txt'), '');
  await writeFile(path('serial'), '4A11\n');
  await writeFile(
    path('ca.cnf'),
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('index.txt')}\nserial=${path('serial')}\n` +
      `new_certs_dir=${dir}\ndefault_md=sha256\ndefault_crl_days=1\ndefault_days=1\npolicy=any\n` +
      `[any]\ncommonName=optional\n`,
  );
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const ca = ['-cert', path('ca.pem'), '-keyfile', path('ca.key'), '-config', path('ca.cnf')];
  await openssl(
    ...['req', '-x509', ...curve, '-subj', '/O=mesh/CN=root', '-days', '1'],
    ...['-keyout', path('ca.key'), '-out', path('ca.pem')],
  );
  await openssl(...['req', ...curve, '-subj', '/CN=leaf', '-keyout', path('k'), '-out', path('r')]);
  await openssl('ca', '-batch', '-notext', ...ca, '-in', path('r'), '-out', path('leaf.pem'));
  await openssl('ca', ...ca, '-revoke', path('leaf.pem'));
  await openssl('ca', ...ca, '-gencrl', '-out', path('crl.pem'));
  const list = readCrls(await readFile(path('crl.pem'), 'utf8'));
  assert.ok(revokedBy(list, new X509Certificate(await readFile(path('leaf.pem')))));
});

test('what is no whole list is refused', async () => {
  const good = await ROOT.crl(['4a11']);
  assert.throws(() => readCrls(ROOT.pem), /PEM \(X509 CRL\)/);
  assert.throws(() => readCrls(`${good}rest`), /PEM \(X509 CRL\)/);
  const broken = good.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n');
  assert.throws(() => readCrls(broken));
  // deltaCRLIndicator
  const delta = await ROOT.crl(['4a11'], { critical: '2.5.29.27' });
  assert.throws(() => readCrls(delta), /critical extension 2\.5\.29\.27/);
  assert.equal(readCrls('').lists, 0);
});

async function follow(t: TestContext, path: string) {
  const lists: RevocationList[] = [];
  const file = new CrlFile({
    path,
    onChange: (list) => lists.push(list),
    log: createLog({ level: 'silent', pretty: false }),
    intervalMs: 20,
  });
  t.after(() => file.close());
  await file.start();
  const until = async (is: () => boolean): Promise<void> => {
    const end = performance.now() + 5000;
    while (!is()) {
      assert.ok(performance.now() < end, JSON.stringify(file.status()));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return { file, lists, until };
}

test('a file that changes; a bad one keeps the last good one and says why', async (t) => {
  const path = join(await temporaryDirectory(t), 'crl.pem');
  await writeFile(path, await ROOT.crl(['4a11']));
  const { file, lists, until } = await follow(t, path);
  assert.equal(lists.length, 1);
  assert.deepEqual([file.status().entries, file.status().error], [1, '']);
  await writeFile(path, await ROOT.crl(['4a11', '4a12']));
  await until(() => lists.length === 2);
  await writeFile(path, 'garbage!');
  await until(() => file.status().error !== '');
  assert.match(file.status().error, /revocation lists in PEM/);
  assert.equal(file.status().entries, 2);
  await rm(path);
  await until(() => /ENOENT/.test(file.status().error));
  await writeFile(path, await OTHER.crl([]));
  await until(() => lists.length === 3);
  assert.equal(file.status().error, '');
  assert.ok(!revokedBy(lists[2], await leafOf(ROOT, '4a11')));
});

test('a file that others can write is not believed', async (t) => {
  const path = join(await temporaryDirectory(t), 'crl.pem');
  await writeFile(path, await ROOT.crl(['4a11']));
  await chmod(path, 0o666);
  const { file, lists } = await follow(t, path);
  assert.match(file.status().error, /others than its owner can write/);
  assert.deepEqual(lists, []);
});

test('a list past its date counts, and status says so', async (t) => {
  const path = join(await temporaryDirectory(t), 'crl.pem');
  await writeFile(path, await ROOT.crl(['4a11'], { nextUpdate: Date.now() - 86_400_000 }));
  const { file, lists } = await follow(t, path);
  assert.equal(lists.length, 1);
  assert.match(file.status().error, /should have been replaced by/);
});
