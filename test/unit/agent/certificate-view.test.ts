/** The worker's side: the newest counts, who waits is told, and one that cannot be had is asked for once a second. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CertificateView } from '../../../src/agent/data-plane/certificate-view.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';

const CART = 'spiffe://td/ns/shop/sa/cart';
const credentials = (version: number): TlsCredentials => ({
  spiffe: CART,
  certificateChain: 'chain',
  privateKey: 'key',
  roots: 'roots',
  version,
});

function setUp() {
  const wanted: string[] = [];
  return { wanted, view: new CertificateView((spiffe) => wanted.push(spiffe)) };
}

test('the newest, until it is taken back', () => {
  const { view, wanted } = setUp();
  view.set(CART, credentials(1));
  view.set(CART, credentials(2));
  assert.equal(view.get(CART)?.version, 2);
  assert.deepEqual(wanted, []);
  view.set(CART, undefined);
  assert.equal(view.get(CART), undefined);
  assert.deepEqual(wanted, [CART]);
});

test('all who wait are told; it was asked for once', async () => {
  const { view, wanted } = setUp();
  const all = [1, 2, 3].map(() => view.whenHeld(CART, 1000));
  assert.deepEqual(wanted, [CART]);
  view.set(CART, credentials(1));
  assert.deepEqual(
    (await Promise.all(all)).map((one) => one?.version),
    [1, 1, 1],
  );
  assert.equal((await view.whenHeld(CART, 0))?.version, 1);
});

test('who waits in vain is told so', async () => {
  const { view } = setUp();
  assert.equal(await view.whenHeld(CART, 20), undefined);
  view.set(CART, credentials(1));
  assert.equal(view.get(CART)?.version, 1);
});

test('revoked by issuer and serial; listeners hear of every list', () => {
  const { view } = setUp();
  let heard = 0;
  const stop = view.onRevocations(() => heard++);
  assert.ok(!view.revoked('0A', 'i'));
  view.revoke({ pem: '', serials: new Map([['i', new Set(['a'])]]) });
  assert.ok(view.revoked('0A', 'i'));
  assert.ok(!view.revoked('0A', 'j'));
  stop();
  view.revoke(undefined);
  assert.ok(!view.revoked('0A', 'i'));
  assert.equal(heard, 1);
});
