/**
 * Root rotation over weeks of a clock that the test turns: agents renew at half of their leaf's life, and at every moment
 * any two valid leaves must trust each other, as openssl says.
 */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { CertificateAuthority } from '../../../../src/control/ca/authority.ts';
import type { TimeSource } from '../../../../src/control/ca/clock.ts';
import { FileRootStore } from '../../../../src/control/ca/file-root-store.ts';
import { MAX_STALE_MS, OwnSigner } from '../../../../src/control/ca/own-signer.ts';
import { ROTATION_SLACK_MS } from '../../../../src/control/ca/root-state.ts';
import type { RootStore } from '../../../../src/control/ca/root-store.ts';
import { SignerUnavailableError } from '../../../../src/control/ca/signer.ts';
import { createLog } from '../../../../src/log.ts';
import { opensslVerifies, temporaryDirectory } from '../../../support/certificates.ts';

const HOUR = 3_600_000;
const LIVES = { workload: 24 * HOUR, node: 24 * HOUR, serving: 24 * HOUR };
const identity = { trustDomain: 'td', namespace: 'shop', serviceAccount: 'cart' };
const key = createPublicKey(
  generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey.export({
    format: 'pem',
    type: 'spki',
  }),
);

class Clock implements TimeSource {
  now = Date.parse('2027-01-01T00:00:00Z');
  elapsed = 0;
  readonly wall = (): number => this.now;
  readonly monotonic = (): number => this.elapsed;
  pass(ms: number): void {
    this.now += ms;
    this.elapsed += ms;
  }
}

async function replica(t: TestContext, store: RootStore, clock: Clock, rootLifeMs?: number) {
  const signer = await OwnSigner.start({
    store,
    trustDomain: 'td',
    longestLifeMs: 24 * HOUR,
    log: createLog({ level: 'silent', pretty: false }),
    time: clock,
    // the test calls check() itself
    intervalMs: 1 << 30,
    ...(rootLifeMs !== undefined && { rootLifeMs }),
  });
  t.after(() => signer.close());
  const authority = new CertificateAuthority({
    signer,
    trustDomain: 'td',
    lives: LIVES,
    wall: clock.wall,
  });
  return { signer, authority };
}

class Holder {
  chain: readonly string[] = [];
  readonly #authority: CertificateAuthority;

  constructor(authority: CertificateAuthority) {
    this.#authority = authority;
  }

  async renew(): Promise<void> {
    this.chain = await this.#authority.issueWorkload(identity, key, 0);
  }

  get leaf(): readonly string[] {
    return this.chain.slice(0, -1);
  }

  get roots(): string {
    return this.chain.at(-1) ?? '';
  }

  age(now: number): number {
    return now - Date.parse(new X509Certificate(this.chain[0] ?? '').validFrom);
  }
}

/** Remembers what openssl has said: only pairs that were not seen before are run. */
function mutualTrust(dir: string) {
  const seen = new Set<string>();
  return async (holders: readonly Holder[], now: number, when: string): Promise<void> => {
    for (const a of holders) {
      for (const b of holders) {
        const pair = `${a.leaf.join('')}\n${b.roots}`;
        if (seen.has(pair)) continue;
        seen.add(pair);
        const verdict = await opensslVerifies(dir, a.leaf, b.roots, 'sslserver', now);
        assert.equal(verdict, true, `${when}: ${verdict}`);
      }
    }
  };
}

test('a rotation without a moment of distrust, with two replicas', async (t) => {
  const dir = await temporaryDirectory(t);
  const store = new FileRootStore(join(dir, 'ca'));
  const clock = new Clock();
  const [a, b] = [await replica(t, store, clock), await replica(t, store, clock)];
  const first = a.signer.state.active.certificate;
  assert.equal(b.signer.state.active.certificate, first);
  // eager, ordinary and late ones, at either replica; the last renews just before its leaf ends
  const renewAt = [1, 6, 12, 12, 18, 23.9].map((hours) => hours * HOUR);
  const holders = renewAt.map((_, i) => new Holder((i % 2 === 0 ? a : b).authority));
  for (const holder of holders) await holder.renew();
  const check = mutualTrust(dir);
  const seen: string[] = [];
  for (let hour = 0; hour < 24 * 4; hour++) {
    clock.pass(HOUR);
    // both within the slack, not at once
    if (hour === 3) await a.signer.rotate();
    await a.signer.check();
    if (hour % 2 === 0) clock.pass(60_000);
    await b.signer.check();
    for (const [i, holder] of holders.entries()) {
      if (holder.age(clock.now) >= (renewAt[i] ?? 0)) await holder.renew();
    }
    const { active, next, retiring } = a.signer.state;
    const phase = next ? 'announced' : retiring.length > 0 ? 'retiring' : 'steady';
    if (seen.at(-1) !== phase) seen.push(phase);
    if (phase !== 'steady') assert.equal(a.authority.bundle(), b.authority.bundle());
    assert.equal(active.certificate === first, !seen.includes('retiring'));
    await check(holders, clock.now, `hour ${hour}, ${phase}`);
  }
  assert.deepEqual(seen, ['steady', 'announced', 'retiring', 'steady']);
  assert.equal(a.signer.state.retiring.length, 0);
  assert.ok(!holders.some(({ roots }) => roots.includes(first)), 'the old root is in no bundle');
  assert.ok(!JSON.stringify(await store.load()).includes(first), 'nor in the store');
});

test('an old root that would end soon is rotated by itself, and no leaf outlives its signer', async (t) => {
  const dir = await temporaryDirectory(t);
  const clock = new Clock();
  const { signer, authority } = await replica(
    t,
    new FileRootStore(join(dir, 'ca')),
    clock,
    20 * 24 * HOUR,
  );
  const first = new X509Certificate(signer.state.active.certificate);
  let rotated: number | undefined;
  for (let hour = 0; hour < 19 * 24; hour++) {
    clock.pass(HOUR);
    await signer.check();
    const [leaf = ''] = await authority.issueWorkload(identity, key, 0);
    const signers = authority.issuers().map((pem) => new X509Certificate(pem));
    const issuer = signers.find((root) => new X509Certificate(leaf).checkIssued(root));
    assert.ok(issuer);
    assert.ok(Date.parse(new X509Certificate(leaf).validTo) <= Date.parse(issuer.validTo));
    if (issuer.fingerprint256 !== first.fingerprint256) rotated ??= hour;
  }
  assert.ok(rotated !== undefined && rotated < 18 * 24, `rotated after ${rotated} hours`);
});

test('a clock that jumps ahead hurries no step', async (t) => {
  const dir = await temporaryDirectory(t);
  const clock = new Clock();
  const { signer } = await replica(t, new FileRootStore(join(dir, 'ca')), clock);
  await signer.rotate();
  assert.ok(signer.state.next);
  clock.pass(HOUR);
  await signer.check();
  clock.now += 300 * 24 * HOUR;
  for (let hour = 0; hour < 24; hour++) {
    await signer.check();
    assert.ok(signer.state.next, `hour ${hour}: leaves without the next root are still valid`);
    clock.pass(HOUR);
  }
  clock.pass(ROTATION_SLACK_MS);
  await signer.check();
  assert.equal(signer.state.next, undefined);
});

test('a clock before the root’s birth, and an expired root, sign nothing', async (t) => {
  const dir = await temporaryDirectory(t);
  const clock = new Clock();
  const { authority } = await replica(t, new FileRootStore(join(dir, 'ca')), clock, 48 * HOUR);
  const start = clock.now;
  clock.now = start - 24 * HOUR;
  await assert.rejects(authority.issueWorkload(identity, key, 0), SignerUnavailableError);
  clock.now = start + 49 * HOUR;
  await assert.rejects(authority.issueWorkload(identity, key, 0), SignerUnavailableError);
  clock.now = start + 48 * HOUR - 30_000;
  await assert.rejects(authority.issueWorkload(identity, key, 0), SignerUnavailableError);
  clock.now = start + 47 * HOUR;
  const [leaf = ''] = await authority.issueWorkload(identity, key, 0);
  assert.equal(Date.parse(new X509Certificate(leaf).validTo), start + 48 * HOUR);
});

test('a replica that cannot read the store stops signing in time', async (t) => {
  const dir = await temporaryDirectory(t);
  const clock = new Clock();
  const files = new FileRootStore(join(dir, 'ca'));
  let isAway = false;
  const store: RootStore = {
    load: () => (isAway ? Promise.reject(new Error('away')) : files.load()),
    save: (state, over) => files.save(state, over),
  };
  const { signer, authority } = await replica(t, store, clock);
  isAway = true;
  clock.pass(MAX_STALE_MS - 1);
  await assert.rejects(signer.check(), /away/);
  await authority.issueWorkload(identity, key, 0);
  clock.pass(2);
  await assert.rejects(authority.issueWorkload(identity, key, 0), SignerUnavailableError);
  isAway = false;
  await signer.check();
  await authority.issueWorkload(identity, key, 0);
});

test('a store that was emptied gets the root in use back', async (t) => {
  const dir = await temporaryDirectory(t);
  const clock = new Clock();
  const store = new FileRootStore(join(dir, 'ca'));
  const { signer } = await replica(t, store, clock);
  const { certificate } = signer.state.active;
  await rm(join(dir, 'ca'), { recursive: true });
  await signer.check();
  assert.equal((await store.load())?.state.active.certificate, certificate);
});
