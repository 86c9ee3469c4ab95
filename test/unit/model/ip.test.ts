import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  formatPrefix,
  ipBytes,
  ipFamily,
  ipFromBytes,
  ipWireBytes,
  mappedLength,
  parseIp,
  parsePrefix,
  prefixContains,
} from '../../../src/model/ip.ts';

const canonical: [string, string | undefined][] = [
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:0a00:0001', '10.0.0.1'],
  ['FD00:0:0::1', 'fd00::1'],
  ['::', '::'],
  ['1::', '1::'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ['fe80::1%eth0', undefined],
  ['010.0.0.1', undefined],
  ['10.0.0', undefined],
  ['10.0.0.1.', undefined],
  ['10.0.0.256', undefined],
  ['1::2::3', undefined],
  ['1:2:3:4:5:6:7', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['1.2.3.4::', undefined],
  ['', undefined],
  [' 10.0.0.1', undefined],
  ['localhost', undefined],
];

for (const [text, expected] of canonical) {
  test(`address ${JSON.stringify(text)} → ${expected}`, () => {
    assert.equal(parseIp(text), expected);
  });
}

test('every address is read as the platform reads it, and survives both byte forms', () => {
  const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  const text = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc
      .array(word, { minLength: 8, maxLength: 8 })
      .map((w) => w.map((n) => n.toString(16)).join(':')),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdf:.'), maxLength: 20 }),
  );
  fc.assert(
    fc.property(text, (input) => {
      const ip = parseIp(input);
      assert.equal(ip !== undefined, isIPv4(input) || isIPv6(input));
      if (ip === undefined) return;
      assert.equal(parseIp(ip), ip);
      assert.equal(ipFromBytes(ipBytes(ip)), ip);
      assert.equal(ipFromBytes(ipWireBytes(ip)), ip);
      assert.ok(ipFamily(ip) === 4 ? isIPv4(ip) : isIPv6(ip));
    }),
    { numRuns: 2000 },
  );
});

const prefixes: [string, string | undefined][] = [
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3/32'],
  ['fd00::1/16', 'fd00::/16'],
  ['::1', '::1/128'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['::ffff:0:0/96', '0.0.0.0/0'],
  ['::ffff:0:0/90', undefined],
  ['10.0.0.0/33', undefined],
  ['10.0.0.0/08', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/-1', undefined],
  ['::/129', undefined],
];

for (const [text, expected] of prefixes) {
  test(`prefix ${text} → ${expected}`, () => {
    const prefix = parsePrefix(text);
    assert.equal(prefix && formatPrefix(prefix), expected);
  });
}

test('prefixes hold what they cover, of their own family only', () => {
  const holds = (outer: string, inner: string): boolean =>
    prefixContains(parsePrefix(outer)!, parsePrefix(inner)!);
  assert.ok(holds('10.0.0.0/8', '10.255.0.1'));
  assert.ok(holds('10.0.0.0/9', '10.127.255.255'));
  assert.ok(!holds('10.0.0.0/9', '10.128.0.0'));
  assert.ok(!holds('10.0.0.0/9', '10.0.0.0/8'));
  assert.ok(holds('0.0.0.0/0', '1.2.3.4'));
  assert.ok(!holds('::/0', '1.2.3.4'));
  assert.ok(!holds('0.0.0.0/0', '::1'));
  assert.equal(mappedLength(parsePrefix('10.0.0.0/8')!), 104);
});
