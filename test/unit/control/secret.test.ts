/**
 * Secrets as they are read: what can be used of them, and that their values are shown nowhere.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateDocument } from '../../../src/control/validate/document.ts';
import type { SecretResource } from '../../../src/model/resource/core.ts';
import { selfSigned } from '../../support/certificate.ts';

const [one, other] = [selfSigned(), selfSigned()];
const TLS = 'kubernetes.io/tls';

function read(data: unknown, type = TLS, more: object = {}) {
  const { resources, findings } = validateDocument(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type,
      metadata: { name: 's', namespace: 'edge' },
      data,
      ...more,
    },
    'secret.yaml',
  );
  const text = JSON.stringify(findings);
  for (const { key, cert } of [one, other]) {
    for (const pem of [key, cert]) {
      const [, line = ''] = pem.split('\n');
      for (const value of [line, btoa(pem)].map((full) => full.slice(0, 16))) {
        assert.ok(!text.includes(value), text);
      }
    }
  }
  return { secret: resources[0] as SecretResource, codes: findings.map(({ code }) => code) };
}

const encoded = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, btoa(value)]));
const pair = { 'tls.crt': one.cert, 'tls.key': one.key };

test('a certificate with its key, and roots beside it', () => {
  const { secret, codes } = read(encoded({ ...pair, 'ca.crt': other.cert }));
  assert.deepEqual(codes, []);
  assert.deepEqual(
    [secret.certificate, secret.privateKey, secret.caCertificates, secret.problem],
    [one.cert, one.key, other.cert, undefined],
  );
  const chain = read(encoded({ ...pair, 'tls.crt': one.cert + other.cert }));
  assert.equal(chain.secret.certificate, one.cert + other.cert);
});

test('generic Secrets with Istio’s keys, and the text itself in stringData', () => {
  const { secret } = read(encoded({ cert: one.cert, key: one.key, cacert: other.cert }), 'Opaque');
  assert.deepEqual([secret.certificate, secret.caCertificates], [one.cert, other.cert]);
  const plain = read(undefined, 'Opaque', { stringData: { 'ca.crt': other.cert } });
  assert.equal(plain.secret.caCertificates, other.cert);
  assert.deepEqual(read(encoded({ password: 'x' }), 'Opaque').codes, []);
});

const BROKEN: readonly (readonly [string, unknown, string])[] = [
  ['another key', encoded({ ...pair, 'tls.key': other.key }), 'tls.key is not the key of tls.crt'],
  ['no key', encoded({ 'tls.crt': one.cert }), 'holds no certificate and key in PEM'],
  [
    'half a key',
    encoded({ ...pair, 'tls.key': one.key.slice(0, 90) }),
    'tls.key holds no key that can be read',
  ],
  [
    'half a certificate',
    encoded({ ...pair, 'tls.crt': `${one.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n` }),
    'tls.crt holds no certificate that can be read (block 1)',
  ],
  [
    'a chain that breaks',
    encoded({
      ...pair,
      'tls.crt': `${one.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    }),
    'tls.crt holds no certificate that can be read (block 2)',
  ],
  [
    'a key for a certificate',
    encoded({ ...pair, 'tls.crt': one.key }),
    'tls.crt holds no certificate',
  ],
  [
    'plain text in data',
    { 'tls.crt': one.cert, 'tls.key': one.key },
    'holds no certificate and key in PEM',
  ],
  ['a text for data', one.key, 'holds no certificate and key in PEM'],
  ['a list for data', [one.key], 'holds no certificate and key in PEM'],
  ['no data', undefined, 'holds no certificate and key in PEM'],
];

for (const [what, data, problem] of BROKEN) {
  test(`refused: ${what}`, () => {
    const { secret, codes } = read(data);
    assert.deepEqual(
      [secret.certificate, secret.privateKey, secret.problem],
      [undefined, undefined, problem],
    );
    assert.deepEqual(codes, ['SECRET_INVALID']);
  });
}

test('roots that cannot be read leave the certificate', () => {
  const { secret, codes } = read(encoded({ ...pair, 'ca.crt': one.key }));
  assert.deepEqual([secret.certificate, secret.caCertificates], [one.cert, undefined]);
  assert.equal(secret.problem, 'ca.crt holds no certificate');
  assert.deepEqual(codes, ['SECRET_INVALID']);
});

test('a Secret of another type is none of the mesh', () => {
  const { secret, codes } = read(encoded(pair), 'helm.sh/release.v1');
  assert.deepEqual(
    [secret.certificate, secret.problem],
    [undefined, 'is of type helm.sh/release.v1'],
  );
  assert.deepEqual(codes, []);
});
