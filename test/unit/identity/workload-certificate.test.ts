/**
 * What a CA may answer, and everything it may not: one test for each forgery and accident.
 */
import assert from 'node:assert/strict';
import { createPublicKey, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { newP256Key } from '../../../src/identity/csr.ts';
import {
  CertificateAnswerError,
  checkIssued,
  fingerprintOf,
} from '../../../src/identity/workload-certificate.ts';
import { IssuingCa, type LeafWishes } from '../../support/issuing-ca.ts';

const CART = 'spiffe://cluster.local/ns/shop/sa/cart';
const ROOT = await IssuingCa.make('root');
const KEY = newP256Key();

async function publicKeyOf(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  const p256 = { name: 'ECDSA', namedCurve: 'P-256' };
  return webcrypto.subtle.importKey('spki', spki, p256, true, ['verify']);
}

async function leaf(wishes: Partial<LeafWishes> = {}, by = ROOT): Promise<string> {
  return by.leaf({ key: await publicKeyOf(KEY), uris: [CART], ...wishes });
}

function check(chain: readonly string[], roots = ROOT.pem, now = Date.now()) {
  return checkIssued(CART, { key: KEY, chain, roots }, now);
}

function refused(chain: readonly string[], why: RegExp, roots = ROOT.pem, now = Date.now()): void {
  assert.throws(
    () => check(chain, roots, now),
    (error: Error) => error instanceof CertificateAnswerError && why.test(error.message),
  );
}

test('a leaf of a root, and one below two intermediates in any order, in one element or several', async () => {
  const one = check([await leaf()]);
  assert.equal(one.chain.length, 1);
  assert.deepEqual(one.roots.map(fingerprintOf), [fingerprintOf(new X509Certificate(ROOT.pem))]);
  const a = await ROOT.intermediate('a');
  const b = await a.intermediate('b');
  const below = await leaf({}, b);
  for (const chain of [[below, b.pem, a.pem], [below, a.pem, b.pem], [below + b.pem + a.pem]]) {
    assert.equal(check(chain).chain.length, 3);
  }
  refused([below, b.pem], /does not lead/);
});

test('without extended usages any use is allowed', async () => {
  check([await leaf({ usages: false })]);
});

test('names: another one, a second one, DNS beside it, none', async () => {
  const web = 'spiffe://cluster.local/ns/shop/sa/web';
  refused([await leaf({ uris: [web] })], /is for URI:spiffe:.*\/web$/);
  refused([await leaf({ uris: [CART, web] })], /is for/);
  refused([await leaf({ uris: [web, CART] })], /is for/);
  refused([await leaf({ dns: ['localhost'] })], /is for/);
  refused([await leaf({ uris: [`${CART}/`] })], /is for/);
  refused([await leaf({ uris: [`${CART}, URI:${CART}`] })], /is for/);
  refused([await leaf({ uris: [] })], /is for no name/);
});

test('a foreign key, CA:TRUE, use for one end only', async () => {
  refused([await leaf({ key: await publicKeyOf(newP256Key()) })], /another key/);
  refused([await leaf({ ca: true })], /CA:TRUE/);
  refused([await leaf({ usages: ['serverAuth'] })], /both ends/);
  refused([await leaf({ usages: ['clientAuth'] })], /both ends/);
});

test('dates: ended, not begun, within the skew', async () => {
  const now = Date.now();
  refused([await leaf({ notAfter: now - 1000 })], /ended .*see the clock/);
  refused([await leaf({ notBefore: now + 120_000 })], /begins .*see the clock/);
  check([await leaf({ notBefore: now + 30_000 })]);
  const ends = check([await leaf({ notAfter: now + 60_000 })]).notAfter;
  assert.equal(ends, Math.floor((now + 60_000) / 1000) * 1000);
});

test('roots: foreign, none, ended, not a CA, the leaf itself, of the same name', async () => {
  const own = await leaf();
  refused([own], /does not lead/, (await IssuingCa.make('other')).pem);
  refused([own], /does not lead/, (await IssuingCa.make('root')).pem);
  refused([own], /no valid root/, '');
  refused([own], /no valid root/, own);
  const now = Date.now();
  const old = await IssuingCa.make('old', { notAfter: now + 1000 });
  refused([await leaf({}, old)], /no valid root/, old.pem, now + 5000);
  const weak = await IssuingCa.make('weak', { ca: false });
  refused([await leaf({}, weak)], /no valid root/, weak.pem);
  const both = check([own], (await IssuingCa.make('other')).pem + ROOT.pem);
  assert.equal(both.roots.length, 2, 'all that are announced are trusted');
});

test('an intermediate that may not sign', async () => {
  const weak = await ROOT.intermediate('weak', { ca: false });
  refused([await leaf({}, weak), weak.pem], /does not lead/);
});

test('garbage: no PEM, text between, other blocks, broken DER, nothing', async () => {
  const own = await leaf();
  refused(['garbage'], /not certificates in PEM/);
  refused([`hello\n${own}`], /not certificates in PEM/);
  refused([own.replaceAll('CERTIFICATE', 'PUBLIC KEY')], /not certificates in PEM/);
  refused([own.replace(/\n[^\n]{20}/, '\n')], /not certificates in PEM|no certificate|DER/);
  const cut = Buffer.from(new X509Certificate(own).raw.subarray(0, 100)).toString('base64');
  refused([`-----BEGIN CERTIFICATE-----\n${cut}\n-----END CERTIFICATE-----\n`], /no certificate/);
  refused([], /no certificate in it/);
  refused([own], /the roots is not certificates/, 'x');
});

test('huge answers are refused before they are parsed', async () => {
  const own = await leaf();
  const started = performance.now();
  refused([own.repeat(9)], /9 certificates, more than 8/);
  refused([own, ' '.repeat(1 << 20)], /more than 65536/);
  refused([own], /more than 1048576/, ROOT.pem.repeat(3000));
  refused([own], /certificates, more than 256/, ROOT.pem.repeat(300));
  assert.ok(performance.now() - started < 2000);
});
