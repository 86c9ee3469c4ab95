/**
 * Certificates of a real SPIRE, over its agent's Delegated Identity API.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { CertificateManager } from '../../src/identity/certificate-manager.ts';
import { SpireSource } from '../../src/identity/spire-source.ts';
import { createLog } from '../../src/log.ts';
import { createCodec } from '../../src/xds/codec.ts';
import { Spire } from '../support/spire.ts';
import { until } from '../support/xds-server.ts';

const definition = createCodec().delegatedIdentity;

function manage(t: TestContext, socket: string): CertificateManager {
  const log = createLog({ level: 'silent', pretty: false });
  const manager = new CertificateManager({ source: new SpireSource({ socket, definition }), log });
  t.after(() => manager.close());
  return manager;
}

const errorOf = (manager: CertificateManager, spiffe: string): string =>
  manager.list().find(({ identity }) => identity === spiffe)?.error ?? '';

test('certificates of SPIRE', async (t) => {
  const spire = await Spire.start(t);
  const cart = await spire.createPodEntry('shop', 'cart');
  // SPIRE renews at half of this
  const web = await spire.createPodEntry('shop', 'web', 30);
  const late = 'spiffe://cluster.local/ns/shop/sa/late';
  const manager = manage(t, spire.socket);
  const held = (spiffe: string): Promise<void> =>
    until(
      `${spiffe}: ${errorOf(manager, spiffe)} ${spire.log}`,
      () => manager.current(spiffe) !== undefined,
      30_000,
    );

  await t.test('an entry for the selectors of a ServiceAccount', async () => {
    manager.want(cart, 'now');
    await held(cart);
    const { certificateChain, privateKey, roots } = manager.current(cart)!;
    const leaf = new X509Certificate(certificateChain);
    assert.equal(leaf.subjectAltName, `URI:${cart}`);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(privateKey)));
    assert.ok(leaf.verify(new X509Certificate(roots).publicKey));
    assert.equal(manager.list()[0]?.renews, '', 'SPIRE says when');
  });

  await t.test('what SPIRE renews is used at once', async () => {
    manager.want(web, 'soon');
    await held(web);
    const first = manager.current(web)!;
    await until('a newer one', () => manager.current(web) !== first, 30_000);
    assert.ok(manager.current(web)!.version > first.version);
    assert.notEqual(manager.current(web)!.certificateChain, first.certificateChain);
  });

  await t.test('without an entry it is said, and one that comes later counts at once', async () => {
    manager.want(late, 'now');
    await until('an error', () => errorOf(manager, late) !== '', 20_000);
    assert.match(errorOf(manager, late), /no entry .*k8s:ns:shop and k8s:sa:late/);
    await spire.createPodEntry('shop', 'late');
    await held(late);
    assert.equal(errorOf(manager, late), '');
  });

  await t.test('its agent goes and comes back: what is held stays, and is renewed', async () => {
    const before = manager.current(cart);
    await spire.stopAgent();
    await until('an error', () => errorOf(manager, cart) !== '', 10_000);
    assert.equal(manager.current(cart)?.certificateChain, before?.certificateChain);
    rmSync(spire.socket, { force: true });
    await spire.startAgent();
    await until('no error', () => errorOf(manager, cart) === '', 60_000);
    manager.release(late);
    assert.equal(manager.current(late), undefined);
  });
});

test('a socket that is not there', async (t) => {
  const socket = '/nonexistent/spire.sock';
  assert.ok(!existsSync(socket));
  const manager = manage(t, socket);
  const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
  manager.want(cart, 'now');
  await until('an error', () => errorOf(manager, cart) !== '', 10_000);
  assert.match(errorOf(manager, cart), /UNAVAILABLE/);
});
