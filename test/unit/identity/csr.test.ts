/**
 * Requests of the small writer, as openssl and control's X.509 library read them.
 */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCertificateRequest } from '../../../src/control/ca/certificate-request.ts';
import { createCsr, newP256Key } from '../../../src/identity/csr.ts';
import { openssl, temporaryDirectory } from '../../support/certificates.ts';

const NAMES = [
  undefined,
  'spiffe://cluster.local/ns/shop/sa/cart',
  `spiffe://td/${'x'.repeat(300)}`,
];

test('openssl accepts what is written, finds the name, and the key', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = join(dir, 'request.pem');
  for (const uri of NAMES) {
    // signatures differ in length: a few of each
    for (let i = 0; i < 10; i++) {
      const key = newP256Key();
      await writeFile(path, createCsr(key, uri));
      const text = await openssl('req', '-in', path, '-noout', '-text', '-verify', '-pubkey');
      const publicKey = createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
      assert.ok(text.includes(publicKey));
      assert.match(text, /Subject:\s*\n/);
      assert.match(text, /ecdsa-with-SHA256/);
      if (uri === undefined) assert.doesNotMatch(text, /Alternative Name/);
      else assert.ok(text.includes(`URI:${uri}`), text);
    }
  }
  await writeFile(path, createCsr(newP256Key(), 'spiffe://td/a'));
  assert.match(await openssl('req', '-in', path, '-noout', '-text'), /Alternative Name: critical/);
});

test('control reads them, and a changed one is refused', async () => {
  for (const uri of NAMES) {
    const key = newP256Key();
    const read = await readCertificateRequest(createCsr(key, uri));
    assert.ok(read.equals(createPublicKey(key)));
  }
  const lines = createCsr(newP256Key(), NAMES[1]).split('\n');
  const index = 2;
  lines[index] = lines[index]!.replace(/./, (c) => (c === 'A' ? 'B' : 'A'));
  await assert.rejects(readCertificateRequest(lines.join('\n')));
});

test('other keys are refused', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  assert.throws(() => createCsr(publicKey), RangeError);
  assert.match(createCsr(privateKey), /^-----BEGIN CERTIFICATE REQUEST-----\n/);
  const { privateKey: p384 } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  assert.throws(() => createCsr(p384), RangeError);
});
