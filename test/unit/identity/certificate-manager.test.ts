/**
 * The manager over days of a clock that the test turns, with a CA that really signs.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { CertificateManager } from '../../../src/identity/certificate-manager.ts';
import { readPem } from '../../../src/identity/pem.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { createLog } from '../../../src/log.ts';
import { CertificateRefusedError } from '../../../src/xds/client/certificate-refused-error.ts';
import { CART, HOUR, startLab, WEB, type Lab } from './manager-lab.ts';

const DAY = 24 * HOUR;
const away = (): Promise<never> => Promise.reject(new Error('14 UNAVAILABLE: no connection'));

const serialOf = ({ manager }: Lab, spiffe = CART): string =>
  manager.list().find(({ identity }) => identity === spiffe)?.serial ?? '';

/** Until it has asked again; how long that was. */
async function untilAsked(lab: Lab, stepMs: number, limitMs: number): Promise<number> {
  const { asked } = lab.source;
  const before = asked.length;
  for (let passed = 0; passed < limitMs; passed += stepMs) {
    await lab.clock.pass(stepMs);
    if (asked.length > before) return passed + stepMs;
  }
  throw new Error(`not asked within ${limitMs} ms`);
}

test('a wanted identity has a certificate, its key and its roots', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  assert.equal(lab.manager.current(CART), undefined);
  await lab.clock.pass(0);
  const credentials = lab.manager.current(CART);
  assert.ok(credentials);
  const leaf = new X509Certificate(credentials.certificateChain);
  assert.equal(leaf.subjectAltName, `URI:${CART}`);
  assert.ok(leaf.checkPrivateKey(createPrivateKey(credentials.privateKey)));
  assert.ok(leaf.verify(new X509Certificate(credentials.roots).publicKey));
  assert.deepEqual(lab.told, [[CART, credentials]]);
  const [status] = lab.manager.list();
  assert.equal(status?.state, 'valid');
  assert.equal(status?.serial, leaf.serialNumber.toLowerCase());
  assert.equal(status?.roots.length, 1);
  lab.manager.want(CART, 'now');
  await lab.clock.pass(0);
  assert.equal(lab.source.asked.length, 1, 'what is held is not asked for again');
});

test('it is renewed at half of its life, give or take a tenth of that', async (t) => {
  for (const [random, least, most] of [
    [0, 10.8, 10.9],
    [0.999, 13.1, 13.2],
  ] as const) {
    const lab = await startLab(t, () => random);
    lab.manager.want(CART, 'soon');
    await lab.clock.pass(0);
    const first = serialOf(lab);
    const hours = (await untilAsked(lab, HOUR / 20, DAY)) / HOUR;
    assert.ok(hours >= least && hours <= most, `${hours} h`);
    assert.notEqual(serialOf(lab), first);
    const [[, before], [, after]] = lab.told as [Lab['told'][0], Lab['told'][0]];
    assert.ok(after!.version > before!.version);
    assert.notEqual(after!.privateKey, before!.privateKey);
  }
});

test('at most eight at once; one that a connection waits for goes first', async (t) => {
  const lab = await startLab(t);
  const answers: (() => void)[] = [];
  lab.source.behave = async (real) => {
    await new Promise<void>((resolve) => answers.push(resolve));
    return real();
  };
  const all = Array.from({ length: 20 }, (_, i) => `spiffe://cluster.local/ns/shop/sa/s${i}`);
  for (const spiffe of all) lab.manager.want(spiffe, 'soon');
  await lab.clock.pass(0);
  assert.equal(lab.source.active, 8);
  lab.manager.want(CART, 'now');
  lab.manager.want(all[15]!, 'now');
  answers.shift()!();
  await lab.clock.pass(0);
  answers.shift()!();
  await lab.clock.pass(0);
  assert.deepEqual(lab.source.asked.slice(8), [all[15], CART], 'in the order they came');
  while (answers.length > 0) {
    answers.shift()!();
    await lab.clock.pass(0);
  }
  assert.equal(lab.source.peak, 8);
  assert.equal(lab.manager.list().filter(({ state }) => state === 'valid').length, 21);
});

test('a source that is not to be asked early is asked at the first use', async (t) => {
  const lab = await startLab(t);
  lab.source.prefetch = false;
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(HOUR);
  assert.deepEqual(lab.source.asked, []);
  assert.equal(lab.manager.list()[0]?.state, 'idle');
  lab.manager.want(CART, 'now');
  await lab.clock.pass(0);
  assert.equal(lab.manager.list()[0]?.state, 'valid');
});

test('CA away: pauses of 1 s, doubled, up to 150 s, which a waiting connection does not shorten', async (t) => {
  const lab = await startLab(t);
  lab.source.behave = away;
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  assert.equal(lab.manager.list()[0]?.state, 'failed');
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    lab.manager.want(CART, 'now');
    pauses.push(Math.round((await untilAsked(lab, 500, 200_000)) / 1000));
  }
  assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 150, 150]);
  assert.equal(lab.manager.list()[0]?.error, '14 UNAVAILABLE: no connection');
  assert.equal(lab.manager.list()[0]?.failures, 11);
  assert.deepEqual(lab.manager.numbers().failed, { refused: 0, invalid: 0, unavailable: 11 });
  assert.equal(lab.log.filter((line) => line.includes('"level":"error"')).length, 1, 'said once');
  lab.source.behave = (real) => real();
  await lab.clock.pass(150_000);
  assert.equal(lab.manager.list()[0]?.state, 'valid');
  assert.deepEqual([lab.manager.list()[0]?.error, lab.manager.list()[0]?.failures], ['', 0]);
});

test('CA away at the renewal: the old one serves until it ends, then there is none', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  const held = lab.manager.current(CART);
  lab.source.behave = away;
  await lab.clock.pass(DAY - 60_000);
  assert.equal(lab.manager.current(CART), held);
  assert.equal(lab.manager.list()[0]?.state, 'valid');
  assert.match(lab.manager.list()[0]?.error ?? '', /UNAVAILABLE/);
  assert.equal(lab.told.length, 1);
  await lab.clock.pass(120_000);
  assert.equal(lab.manager.current(CART), undefined);
  assert.equal(lab.manager.list()[0]?.state, 'expired');
  assert.deepEqual(lab.told.slice(1), [[CART, undefined]]);
  assert.ok(lab.log.some((line) => line.includes('a certificate ended')));
  lab.source.behave = (real) => real();
  await lab.clock.pass(150_000);
  assert.ok(lab.manager.current(CART));
});

test('an hour without a CA changes nothing for those who have certificates', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(11.9 * HOUR);
  lab.source.behave = away;
  await lab.clock.pass(HOUR);
  lab.source.behave = (real) => real();
  await lab.clock.pass(150_000);
  assert.equal(lab.told.length, 2);
  assert.ok(lab.told.every(([, credentials]) => credentials !== undefined));
});

test('the reasons of failures are told apart', async (t) => {
  const lab = await startLab(t);
  lab.source.behave = () => Promise.reject(new CertificateRefusedError('16 UNAUTHENTICATED'));
  lab.manager.want(CART, 'soon');
  lab.source.behave = async (real, spiffe) =>
    spiffe === WEB
      ? { ...(await real()), roots: 'x' }
      : Promise.reject(new CertificateRefusedError('no'));
  lab.manager.want(WEB, 'soon');
  await lab.clock.pass(0);
  assert.deepEqual(lab.manager.numbers().failed, { refused: 1, invalid: 1, unavailable: 0 });
});

test('a source that neither answers nor gives up loses its turn, and keeps nobody else from theirs', async (t) => {
  const lab = await startLab(t);
  lab.source.behave = (real, spiffe) => (spiffe === CART ? new Promise(() => {}) : real());
  lab.manager.want(CART, 'soon');
  lab.manager.want(WEB, 'soon');
  await lab.clock.pass(14_000);
  assert.equal(lab.manager.list()[0]?.state, 'requested');
  assert.equal(lab.manager.list()[1]?.state, 'valid');
  await lab.clock.pass(1_500);
  assert.match(lab.manager.list()[0]?.error ?? '', /no answer within 15 s/);
  assert.equal(lab.manager.numbers().inFlight, 0);
});

test('release forgets the key, also of one that is on its way', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  let aborted = false;
  let answer: () => void = () => {};
  lab.source.behave = async (real, _spiffe, signal) => {
    signal.addEventListener('abort', () => (aborted = true));
    await new Promise<void>((resolve) => (answer = resolve));
    return real();
  };
  lab.manager.want(WEB, 'soon');
  await lab.clock.pass(0);
  lab.manager.release(CART);
  lab.manager.release(WEB);
  answer();
  await lab.clock.pass(0);
  assert.ok(aborted);
  assert.deepEqual([...lab.manager.all()], []);
  assert.deepEqual(lab.manager.list(), []);
  assert.deepEqual(lab.source.released, [CART, WEB]);
  assert.deepEqual(lab.told.slice(1), [[CART, undefined]]);
  lab.source.behave = (real) => real();
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  assert.ok(lab.manager.current(CART), 'a pod that comes back gets a new one');
});

test('root rotation: all of the node trusts a new root with the first answer that has it, the old one until the last', async (t) => {
  const lab = await startLab(t);
  const rootsOf = (spiffe: string): number =>
    (lab.manager.current(spiffe)?.roots.match(/BEGIN/g) ?? []).length;
  lab.manager.want(CART, 'soon');
  lab.manager.want(WEB, 'soon');
  await lab.clock.pass(6 * HOUR);
  const leafBefore = lab.manager.current(WEB)?.certificateChain;
  await lab.signer.rotate();
  lab.source.behave = (real, spiffe) => (spiffe === WEB ? away() : real());
  lab.manager.release(CART);
  lab.manager.want(CART, 'now');
  await lab.clock.pass(0);
  assert.deepEqual([rootsOf(CART), rootsOf(WEB)], [2, 2]);
  assert.equal(lab.manager.current(WEB)?.certificateChain, leafBefore);
  lab.source.behave = (real) => real();
  // the others follow within a minute, and then nobody asks again
  await lab.clock.pass(200_000);
  assert.notEqual(lab.manager.current(WEB)?.certificateChain, leafBefore);
  const asked = lab.source.asked.length;
  await lab.clock.pass(HOUR);
  assert.equal(lab.source.asked.length, asked);
  // announced → switched → dropped
  for (let hours = 0; hours < 80; hours++) {
    await lab.clock.pass(HOUR);
    await lab.signer.check();
    assert.ok(lab.manager.current(CART) && lab.manager.current(WEB));
    const trusted = [...lab.manager.all()].map(({ roots }) => roots);
    assert.equal(new Set(trusted).size, 1, 'one trust for the whole node');
  }
  assert.deepEqual([rootsOf(CART), rootsOf(WEB)], [1, 1]);
});

test('during a root rotation two nodes believe each other at every hour', async (t) => {
  const lab = await startLab(t, Math.random);
  const { source, clock } = lab;
  const log = createLog({ level: 'silent', pretty: false });
  const other = new CertificateManager({ source, clock, log });
  lab.manager.want(CART, 'soon');
  // its renewals come at other times
  await clock.pass(5 * HOUR);
  other.want(WEB, 'soon');
  await clock.pass(HOUR);
  await lab.signer.rotate();
  const believes = (one: TlsCredentials, peer: TlsCredentials): boolean =>
    readPem(one.roots)!.some(({ der }) =>
      new X509Certificate(peer.certificateChain).verify(new X509Certificate(der).publicKey),
    );
  const bundles = new Set<string>();
  for (let hours = 0; hours < 100; hours++) {
    await clock.pass(HOUR);
    await lab.signer.check();
    const [cart, web] = [lab.manager.current(CART)!, other.current(WEB)!];
    assert.ok(believes(cart, web) && believes(web, cart), `after ${hours} h`);
    bundles.add(cart.roots);
  }
  assert.ok(bundles.size >= 3, 'the old root, both, the new one');
});

test('two replicas with different bundles do not keep the node asking', async (t) => {
  const lab = await startLab(t, Math.random);
  const other = await startLab(t);
  lab.manager.want(CART, 'soon');
  lab.manager.want(WEB, 'soon');
  other.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  await other.clock.pass(0);
  const foreign = other.manager.current(CART)?.roots ?? '';
  let turn = 0;
  lab.source.behave = async (real) => {
    const issued = await real();
    return turn++ % 2 === 0 ? { ...issued, roots: issued.roots + foreign } : issued;
  };
  await lab.clock.pass(DAY * 3);
  assert.ok(lab.source.asked.length < 20, `${lab.source.asked.length} questions in three days`);
});

test('a clock that is set forward by a day: what has ended is gone, and asked for', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  const first = serialOf(lab);
  lab.clock.set(DAY + 1000);
  assert.equal(lab.manager.current(CART), undefined);
  await lab.clock.pass(30_000);
  assert.ok(lab.manager.current(CART));
  assert.notEqual(serialOf(lab), first);
});

test('a clock that is set back: it is renewed no later than half of its life after it came', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  // the CA in this test has the same clock: its root must be older than what the clock is set to
  await lab.clock.pass(3 * DAY);
  const first = serialOf(lab);
  lab.clock.set(-2 * DAY);
  await lab.clock.pass(13 * HOUR);
  assert.ok(lab.manager.current(CART));
  assert.notEqual(serialOf(lab), first);
});

test('a source that renews by itself is asked when it says so, whatever the pause after failures', async (t) => {
  const lab = await startLab(t);
  lab.source.renews = true;
  lab.source.behave = away;
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(100_000);
  lab.source.behave = (real) => real();
  lab.source.tell(CART);
  await lab.clock.pass(0);
  const first = serialOf(lab);
  assert.notEqual(first, '');
  assert.equal(lab.manager.list()[0]?.renews, '');
  await lab.clock.pass(20 * HOUR);
  assert.equal(serialOf(lab), first);
  lab.source.tell();
  await lab.clock.pass(0);
  assert.notEqual(serialOf(lab), first);
});

test('revocation lists are part of every identity’s credentials at once', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'soon');
  await lab.clock.pass(0);
  assert.ok(!('crls' in lab.manager.current(CART)!));
  lab.manager.setRevocations({ pem: 'PEM', serials: new Map() });
  assert.equal(lab.manager.current(CART)?.crls, 'PEM');
  assert.equal(lab.told.length, 2);
  assert.equal(lab.told[1]?.[1]?.certificateChain, lab.told[0]?.[1]?.certificateChain);
});

test('no key in the log, the list or the chains', async (t) => {
  const lab = await startLab(t);
  lab.manager.want(CART, 'now');
  await lab.clock.pass(0);
  lab.source.behave = () => Promise.reject(new Error('no'));
  await lab.clock.pass(2 * DAY);
  lab.source.behave = (real) => real();
  await lab.clock.pass(DAY);
  const shown = JSON.stringify([lab.log, lab.manager.list(), lab.manager.chains()]);
  assert.ok(shown.includes('BEGIN CERTIFICATE'));
  assert.ok(!shown.includes('PRIVATE KEY'));
  for (const [, credentials] of lab.told) {
    const body = credentials?.privateKey.split('\n')[1] ?? '-';
    assert.ok(!shown.includes(body) || body === '-');
  }
});

test('what is no identity is refused; after close nothing is asked or told', async (t) => {
  const lab = await startLab(t);
  assert.throws(() => lab.manager.want('spiffe://td/node/x', 'now'), RangeError);
  lab.manager.want(CART, 'soon');
  await lab.manager.close();
  await lab.clock.pass(DAY);
  assert.deepEqual(lab.told, []);
  assert.equal(lab.source.asked.length, 1);
  assert.ok(lab.source.closed);
  await lab.manager.close();
});
