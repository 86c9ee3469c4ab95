/** LiveViews against the generated decoder: what is read in place is what is decoded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConnFlags, ConnView } from '../../../src/kernel/abi/layout.gen.ts';
import { ViewKinds } from '../../../src/agent/view-kinds.ts';
import { LiveViews } from '../../../src/kernel/live-views.ts';

const NOBODY = new Uint8Array(16);
const EMPTY: ConnView = {
  ...ConnView.decode(new Uint8Array(ConnView.size)),
  size: ConnView.size,
};

function view(changes: Partial<ConnView>): ConnView {
  return { ...EMPTY, ...changes };
}

function print(views: readonly ConnView[], shift = 0): Uint8Array {
  const bytes = new Uint8Array(shift + views.length * ConnView.size);
  views.forEach((one, i) => bytes.set(ConnView.encode(one), shift + i * ConnView.size));
  return bytes.subarray(shift);
}

function live(...views: ConnView[]): LiveViews {
  return new LiveViews([{ bytes: print(views) }]);
}

test('every field of every view, wherever the bytes begin', () => {
  const any = fc.array(fc.uint8Array({ minLength: ConnView.size, maxLength: ConnView.size }), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(any, fc.nat(7), (all, shift) => {
      const views = all.map((bytes) => ({ ...ConnView.decode(bytes), size: ConnView.size }));
      const read = new LiveViews([{ bytes: print(views, shift) }]);
      assert.deepEqual(read.decodeAll(), views);
      views.forEach((one, i) => {
        assert.equal(read.flags(i), one.flags);
        assert.equal(read.netns(i), BigInt.asUintN(64, one.netns));
        assert.deepEqual(read.podsOf(i), [one.sourcePod, one.destinationPod]);
      });
    }),
  );
});

test('cookies are exact, also those that are counted down from 2^64', () => {
  const cookies = [1n, 2n ** 40n + 1n, 2n ** 64n - 1n, 2n ** 64n - 2n];
  const read = live(...cookies.map((cookie) => view({ cookie })));
  assert.deepEqual(
    cookies.map((_, i) => read.cookie(i)),
    cookies,
  );
  assert.deepEqual(read.indexesOf(new Set([2n ** 64n - 2n, 1n, 77n])), [0, 3]);
});

test('views of other agents are cut or filled with zeros', () => {
  const one = view({ cookie: 5n, flags: 3, clientPort: 80, client: new Uint8Array(16).fill(7) });
  const short = ConnView.size - 16;
  const long = ConnView.size + 24;
  const bytes = new Uint8Array(short + long + ConnView.size);
  bytes.set(ConnView.encode({ ...one, size: short }).subarray(0, short));
  bytes.set(ConnView.encode({ ...one, size: long, cookie: 6n }), short);
  bytes.set(ConnView.encode({ ...one, cookie: 7n }), short + long);
  const read = new LiveViews([{ bytes }]);
  assert.deepEqual(read.decodeAll(), [
    { ...one, size: short, client: NOBODY },
    { ...one, size: long, cookie: 6n },
    { ...one, cookie: 7n },
  ]);
});

test('half a view at the end is left out', () => {
  const bytes = print([view({ cookie: 1n }), view({ cookie: 2n })]);
  assert.equal(new LiveViews([{ bytes: bytes.subarray(0, bytes.length - 1) }]).count, 1);
  assert.equal(new LiveViews([{ bytes: new Uint8Array() }]).count, 0);
});

test('of a socket that two generations know, the first one counts; numbers nobody has any more are those of today', () => {
  const old = view({ cookie: 1n, sourcePod: 4, sourceIdentity: 9, destinationPod: 5, service: 3 });
  const read = new LiveViews([
    { bytes: print([old]), identityOf: (pod) => pod * 100 },
    { bytes: print([view({ cookie: 1n }), view({ cookie: 2n, sourceIdentity: 8 })]) },
  ]);
  assert.deepEqual(
    read
      .decodeAll()
      .map((one) => [one.cookie, one.sourceIdentity, one.destinationIdentity, one.service]),
    [
      [1n, 400, 500, 0],
      [2n, 8, 0, 0],
    ],
  );
});

test('the ends of a connection are found by what either knows of the other', () => {
  const flags = ConnFlags.CLIENT;
  const read = live(
    view({ cookie: 1n, flags }),
    view({ cookie: 2n, peerCookie: 1n }),
    view({ cookie: 3n, flags, peerCookie: 4n }),
    view({ cookie: 4n }),
    view({ cookie: 5n, flags, peerCookie: 6n }),
    view({ cookie: 6n, peerCookie: 5n }),
    view({ cookie: 7n, peerCookie: 70n }),
    view({ cookie: 8n, flags }),
  );
  assert.deepEqual([...read.partners()], [1, 0, 3, 2, 5, 4, -1, -1]);
});

const KEY = { local: new Uint8Array(16).fill(1), remote: new Uint8Array(16).fill(2), netns: 0n };
const BASE = view({
  key: { ...KEY, localPort: 8080, remotePort: 40_000 },
  sourcePod: 1,
  destinationPod: 2,
  sourceIdentity: 3,
});
const CLIENT: ConnView = {
  ...BASE,
  flags: ConnFlags.CLIENT,
  key: { ...KEY, localPort: 40_000, remotePort: 8080 },
};

for (const [what, one, other] of [
  ['bytes and cookies', BASE, { ...BASE, cookie: 5n, sent: 9n, received: 8n, srttUs: 7 }],
  ['the client’s port', BASE, { ...BASE, key: { ...BASE.key, remotePort: 40_001 } }],
  ['the own port of a client', CLIENT, { ...CLIENT, key: { ...CLIENT.key, localPort: 40_001 } }],
  ['how it is carried', BASE, { ...BASE, flags: ConnFlags.IN_SOCKHASH | ConnFlags.PAIRED }],
  ['where it was dialled', BASE, { ...BASE, dialledPort: 80, dialled: KEY.local }],
  ['which port the tunnel named', { ...BASE, clientPort: 1 }, { ...BASE, clientPort: 2 }],
] as const) {
  test(`policy does not ask for ${what}`, () => {
    const read = live(one, other);
    assert.ok(read.sameKind(0, 1));
    assert.equal(read.kindHash(0), read.kindHash(1));
  });
}

for (const [what, one, other] of [
  ['the service’s port', BASE, { ...BASE, key: { ...BASE.key, localPort: 8081 } }],
  ['a client’s', CLIENT, { ...CLIENT, key: { ...CLIENT.key, remotePort: 8081 } }],
  ['local', BASE, { ...BASE, key: { ...BASE.key, local: NOBODY } }],
  ['remote', BASE, { ...BASE, key: { ...BASE.key, remote: NOBODY } }],
  ['within the pod', BASE, { ...BASE, key: { ...BASE.key, netns: 2n ** 33n } }],
  ['the source pod', BASE, { ...BASE, sourcePod: 9 }],
  ['the destination pod', BASE, { ...BASE, destinationPod: 9 }],
  ['the identity', BASE, { ...BASE, sourceIdentity: 9 }],
  ['behind the agent', BASE, { ...BASE, client: new Uint8Array(16).fill(9) }],
  ['named by a tunnel', BASE, { ...BASE, clientPort: 9 }],
  ...(['CLIENT', 'NODE', 'AGENT', 'SECOND_LEG', 'TUNNELLED'] as const).map(
    (flag) => [flag, BASE, { ...BASE, flags: ConnFlags[flag] }] as const,
  ),
] as const) {
  test(`policy asks: ${what}`, () => {
    assert.ok(!live(one, other).sameKind(0, 1));
  });
}

test('one question for each kind, asked in place for less than what decoding takes', () => {
  const views = Array.from({ length: 8000 }, (_, i) => ({
    ...(i % 2 ? CLIENT : BASE),
    cookie: BigInt(i + 1),
    peerCookie: BigInt((i ^ 1) + 1),
    sourcePod: i % 10 < 2 ? 7 : 1,
  }));
  const bytes = print(views);
  const best = { inPlace: Infinity, decoded: Infinity };
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    const read = new LiveViews([{ bytes }]);
    const partners = read.partners();
    const asked: number[] = [];
    const kinds = new ViewKinds(read, ({ sourcePod }) => asked.push(sourcePod));
    for (let i = 0; i < read.count; i++) kinds.of(i);
    const middle = performance.now();
    assert.equal(read.decodeAll().length, views.length);
    best.decoded = Math.min(best.decoded, performance.now() - middle);
    best.inPlace = Math.min(best.inPlace, middle - start);
    assert.deepEqual(asked, [7, 7, 1, 1]);
    assert.ok(partners.every((partner, i) => partner === (i ^ 1)));
  }
  assert.ok(best.inPlace < best.decoded, JSON.stringify(best));
});
