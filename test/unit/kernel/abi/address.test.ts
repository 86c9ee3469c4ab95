import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { PodwireError } from '../../../../src/errors.ts';
import {
  addrFromText,
  addrToText,
  cidrFromText,
  isMapped,
  isZeroAddr,
  ZERO_ADDR,
} from '../../../../src/kernel/abi/address.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const zeroRuns = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 })
  .map((words) => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff])));

suite('addresses', () => {
  for (const [text, bytes] of [
    ['10.0.0.1', '00000000000000000000ffff0a000001'],
    ['::ffff:10.0.0.1', '00000000000000000000ffff0a000001'],
    ['::ffff:a00:1', '00000000000000000000ffff0a000001'],
    ['fd00::1', 'fd000000000000000000000000000001'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ] as const) {
    test(`${text} is ${bytes}`, () => assert.equal(hex(addrFromText(text)), bytes));
  }

  for (const [text, canonical] of [
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['fe80::0001', 'fe80::1'],
  ] as const) {
    test(`${text} prints as ${canonical}`, () => {
      assert.equal(addrToText(addrFromText(text)), canonical);
    });
  }

  test('bytes → text → bytes', () => {
    fc.assert(
      fc.property(fc.oneof(bytes16, zeroRuns), (bytes) => {
        const text = addrToText(bytes);
        assert.equal(isIP(text), isMapped(bytes) ? 4 : 6);
        assert.equal(hex(addrFromText(text)), hex(bytes));
      }),
    );
  });

  test('IPv4 text stays as it is', () => {
    fc.assert(fc.property(fc.ipV4(), (text) => assert.equal(addrToText(addrFromText(text)), text)));
  });

  test('any IPv6 spelling means what it says', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        assert.equal(new URL(`http://[${text}]/`).hostname, new URL(urlOf(text)).hostname);
      }),
    );
  });

  test('any other text is ERR_BAD_OPTION with the text in it', () => {
    const reasons: [string, RegExp][] = [
      ['', /^'': expected an IPv4 or IPv6 address/],
      ['10.0.0', /expected an IPv4/],
      ['10.0.0.01', /expected an IPv4/],
      ['10.0.0.0/8', /a prefix stands where/],
      ['fe80::1%eth0', /zone ids/],
    ];
    for (const [text, message] of reasons) {
      assert.throws(() => addrFromText(text), { code: 'ERR_BAD_OPTION', message });
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          addrFromText(text);
          assert.notEqual(isIP(text), 0);
        } catch (error) {
          assert.ok(error instanceof PodwireError, String(error));
          assert.ok(error.message.startsWith(`'${text}': `));
        }
      }),
    );
  });

  test('only 16 bytes are an address', () => {
    assert.throws(() => addrToText(new Uint8Array(4)), /has 4 bytes instead of 16/);
    assert.equal(isMapped(new Uint8Array(4)), false);
  });

  test('the zero address is nobody', () => {
    assert.equal(addrToText(ZERO_ADDR), '::');
    assert.equal(isZeroAddr(ZERO_ADDR), true);
    assert.equal(isZeroAddr(addrFromText('0.0.0.0')), false);
  });
});

suite('prefixes', () => {
  for (const [text, address, bits] of [
    ['10.0.0.0/8', '10.0.0.0', 104],
    ['10.1.2.3/8', '10.0.0.0', 104],
    ['10.1.2.3', '10.1.2.3', 128],
    ['0.0.0.0/0', '0.0.0.0', 96],
    ['fd00::1/8', 'fd00::', 8],
    ['fd00::1', 'fd00::1', 128],
    ['::/0', '::', 0],
    ['::ffff:10.1.0.0/104', '10.0.0.0', 104],
  ] as const) {
    test(`${text} is ${address} with ${bits} bits`, () => {
      assert.deepEqual(cidrFromText(text), { addr: addrFromText(address), bits });
    });
  }

  for (const [text, message] of [
    ['10.0.0.0/33', /number from 0 to 32$/],
    ['10.0.0.0/', /number from 0 to 32$/],
    ['10.0.0.0/08', /number from 0 to 32$/],
    ['10.0.0.0/8/8', /number from 0 to 32$/],
    ['fd00::/129', /number from 0 to 128$/],
    ['fd00::/-1', /number from 0 to 128$/],
    ['::ffff:10.0.0.0/8', /number from 96 to 128$/],
    ['ten/8', /expected an IPv4 or IPv6 address/],
  ] as const) {
    test(`${text} is refused`, () => {
      assert.throws(() => cidrFromText(text), { code: 'ERR_BAD_OPTION', message });
    });
  }

  test('host bits are cleared, the others kept', () => {
    fc.assert(
      fc.property(bytes16, fc.nat(128), (bytes, length) => {
        fc.pre(!isMapped(bytes));
        const { addr, bits } = cidrFromText(`${addrToText(bytes)}/${length}`);
        assert.equal(bits, length);
        const all = (value: Uint8Array): bigint => BigInt(`0x${hex(value)}`);
        const host = 128n - BigInt(length);
        assert.equal(all(addr), (all(bytes) >> host) << host);
      }),
    );
  });
});

function urlOf(text: string): string {
  const canonical = addrToText(addrFromText(text));
  return isIP(canonical) === 4 ? `http://[::ffff:${canonical}]/` : `http://[${canonical}]/`;
}
