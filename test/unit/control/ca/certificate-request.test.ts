/**
 * Certificate requests: which keys are taken, that the signature counts and nothing else, and that noise is refused.
 */
import assert from 'node:assert/strict';
import { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CertificateRequestError,
  readCertificateRequest,
} from '../../../../src/control/ca/certificate-request.ts';
import { readPem, writePem } from '../../../../src/identity/pem.ts';
import { newKeys, newRequest, openssl, temporaryDirectory } from '../../../support/certificates.ts';

const refused = (pem: string, message: RegExp): Promise<void> =>
  assert.rejects(readCertificateRequest(pem), (error) => {
    assert.ok(error instanceof CertificateRequestError, String(error));
    assert.match(error.message, message);
    return true;
  });

const spki = (key: KeyObject): string => key.export({ format: 'pem', type: 'spki' }).toString();

const rsa = (bits: number, exponent = [1, 0, 1]) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: bits,
  publicExponent: new Uint8Array(exponent),
});

test('P-256 and RSA of 2048 bits are taken', async () => {
  for (const algorithm of [{ name: 'ECDSA', namedCurve: 'P-256' }, rsa(2048)]) {
    const keys = await newKeys(algorithm);
    const { pem } = await newRequest({ algorithm, keys, uris: ['spiffe://td/ns/a/sa/b'] });
    const expected = KeyObject.from(keys.publicKey);
    assert.equal(spki(await readCertificateRequest(pem)), spki(expected));
  }
});

for (const [name, algorithm, message] of [
  ['RSA of 1024 bits', rsa(1024), /2048 to 4096 bits/],
  ['RSA with exponent 3', rsa(2048, [3]), /exponent/],
  ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }, /not P-256/],
  ['P-521', { name: 'ECDSA', namedCurve: 'P-521' }, /not P-256/],
] as const) {
  test(`${name} is refused`, async () => {
    await refused((await newRequest({ algorithm })).pem, message);
  });
}

test('requests of openssl: P-256 taken; secp256k1, Ed25519, PSS, SHA-1 and spelt-out parameters refused', async (t) => {
  const dir = await temporaryDirectory(t);
  const request = async (name: string, key: readonly string[], sign: readonly string[] = []) => {
    const path = join(dir, name);
    await openssl('genpkey', ...key, '-out', `${path}.key`);
    await openssl('req', '-new', '-key', `${path}.key`, ...sign, '-subj', '/CN=x', '-out', path);
    return readFile(path, 'utf8');
  };
  const ec = (curve: string, encoding = 'named_curve') => [
    '-algorithm',
    'EC',
    '-pkeyopt',
    `ec_paramgen_curve:${curve}`,
    '-pkeyopt',
    `ec_param_enc:${encoding}`,
  ];
  const rsaKey = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'];
  assert.ok(await readCertificateRequest(await request('p256', ec('P-256'))));
  assert.ok(await readCertificateRequest(await request('sha384', ec('P-256'), ['-sha384'])));
  await refused(await request('k1', ec('secp256k1')), /not P-256|cannot be checked/);
  await refused(
    await request('explicit', ec('P-256', 'explicit')),
    /not P-256|cannot be checked|PKCS/,
  );
  await refused(await request('ed', ['-algorithm', 'ED25519']), /neither P-256 nor RSA/);
  await refused(
    await request('pss', rsaKey, ['-sigopt', 'rsa_padding_mode:pss']),
    /not accepted|cannot be checked/,
  );
  await refused(await request('sha1', rsaKey, ['-sha1']), /not accepted/);
});

test('a signature by another key is refused', async () => {
  const [mine, other] = [await newKeys(), await newKeys()];
  const keys = { publicKey: other.publicKey, privateKey: mine.privateKey };
  await refused((await newRequest({ keys })).pem, /signature is wrong/);
});

test('a giant is refused before it is parsed', async () => {
  await refused('A'.repeat(4_000_000), /more than/);
  const uris = Array.from({ length: 1000 }, (_, i) => `spiffe://td/ns/n/sa/account-${i}`);
  await refused((await newRequest({ uris })).pem, /more than/);
});

test('what is not one request is refused', async () => {
  const { pem } = await newRequest();
  const [block] = readPem(pem) ?? [];
  assert.ok(block);
  for (const text of [
    '',
    'hello',
    pem + pem,
    `text before\n${pem}`,
    pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
    pem.slice(0, -20),
    writePem('CERTIFICATE REQUEST', Buffer.alloc(0)),
  ]) {
    await refused(text, /not one/);
  }
  await refused(
    writePem('CERTIFICATE REQUEST', Buffer.concat([block.der, Buffer.from('tail')])),
    /./,
  );
  const nested = Buffer.concat([...Array.from({ length: 3000 }, () => Buffer.from([0x30, 0x80]))]);
  await refused(writePem('CERTIFICATE REQUEST', nested), /not one/);
});

test('fuzz: noise and damaged requests are refused with an error of their own', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      await refused(writePem('CERTIFICATE REQUEST', bytes), /./);
    }),
    { numRuns: 300 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 300 }), async (text) => {
      await refused(text, /./);
      await refused(
        `-----BEGIN CERTIFICATE REQUEST-----\n${text}\n-----END CERTIFICATE REQUEST-----`,
        /./,
      );
    }),
    { numRuns: 300 },
  );
  const { pem } = await newRequest({ subject: 'CN=x', uris: ['spiffe://td/ns/a/sa/b'] });
  const key = spki(await readCertificateRequest(pem));
  let accepted = 0;
  const der = readPem(pem)?.[0]?.der ?? Buffer.alloc(0);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(der.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom('flip', 'cut', 'insert'),
      async (at, value, kind) => {
        const bytes = Buffer.from(der);
        bytes[at] = (bytes[at] ?? 0) ^ value;
        const changed =
          kind === 'flip'
            ? bytes
            : kind === 'cut'
              ? der.subarray(0, at)
              : Buffer.concat([der.subarray(0, at), Buffer.from([value]), der.subarray(at)]);
        // Encodings that mean the same are harmless; another key, or another error, is not.
        try {
          const read = await readCertificateRequest(writePem('CERTIFICATE REQUEST', changed));
          assert.equal(spki(read), key);
          accepted++;
        } catch (error) {
          assert.ok(error instanceof CertificateRequestError, String(error));
        }
      },
    ),
    { numRuns: 1500 },
  );
  assert.ok(accepted < 150, `${accepted} damaged requests were accepted`);
});
