/**
 * A CA of files that the operator replaces.
 */
import assert from 'node:assert/strict';
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRoot } from '../../../../src/control/ca/certificate.ts';
import { GivenSigner } from '../../../../src/control/ca/given-signer.ts';
import { createLog } from '../../../../src/log.ts';
import { temporaryDirectory } from '../../../support/certificates.ts';

const log = createLog({ level: 'silent', pretty: false });
const newRoot = () =>
  createRoot('td', { notBefore: new Date(), notAfter: new Date(Date.now() + 3_600_000) });

test('a new set is taken, one that does not fit leaves the last in force', async (t) => {
  const dir = await temporaryDirectory(t);
  const files = {
    certificate: join(dir, 'ca-cert.pem'),
    key: join(dir, 'ca-key.pem'),
    chain: undefined,
    roots: join(dir, 'root-cert.pem'),
  };
  const save = async (path: string, text: string): Promise<void> => {
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  };
  const [a, b] = [await newRoot(), await newRoot()];
  await save(files.certificate, a.certificate);
  await save(files.key, a.key);
  await save(files.roots, a.certificate);
  const signer = await GivenSigner.start({ files, log });
  t.after(() => signer.close());
  let changes = 0;
  signer.onChange(() => changes++);
  await signer.check();
  assert.equal(changes, 0);
  // the operator's rotation, a step at a time
  await save(files.roots, a.certificate + b.certificate);
  await signer.check();
  assert.deepEqual(signer.current().roots, [a.certificate, b.certificate]);
  await save(files.certificate, b.certificate);
  await signer.check();
  assert.equal(changes, 1, 'the certificate without its key');
  await save(files.key, b.key);
  await signer.check();
  assert.equal(changes, 2);
  assert.equal(signer.current().certificate.toString('pem').trim(), b.certificate.trim());
  await save(files.roots, 'damaged');
  await signer.check();
  assert.equal(signer.current().roots.length, 2);
  await save(files.roots, b.certificate);
  await chmod(files.key, 0o644);
  await signer.check();
  assert.equal(signer.current().roots.length, 2, 'a key that everybody can read');
  await chmod(files.key, 0o600);
  await save(files.roots, b.certificate);
  await signer.check();
  assert.deepEqual(signer.current().roots, [b.certificate]);
});
