/** HPACK against the examples of RFC 7541 (appendix C), its limits, and itself. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ConnectionError } from '../../../src/http2/error.ts';
import { HpackDecoder } from '../../../src/http2/hpack/decoder.ts';
import { HpackEncoder } from '../../../src/http2/hpack/encoder.ts';
import { decodeHuffman, maxDecodedLength } from '../../../src/http2/hpack/huffman.ts';
import { STATIC_TABLE } from '../../../src/http2/hpack/static-table.ts';

function decoder(more: Partial<ConstructorParameters<typeof HpackDecoder>[0]> = {}): HpackDecoder {
  return new HpackDecoder({ maxTableSize: 4096, maxListSize: 65_536, maxFields: 256, ...more });
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

function huffman(bytes: Buffer): string | undefined {
  const into = Buffer.alloc(maxDecodedLength(bytes.length));
  const length = decodeHuffman(bytes, 0, bytes.length, into);
  return length < 0 ? undefined : into.toString('latin1', 0, length);
}

const REQUEST_1 = [
  ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
];
const REQUEST_2 = [...REQUEST_1, 'cache-control', 'no-cache'];
const REQUEST_3 = [
  ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html'],
  ...[':authority', 'www.example.com', 'custom-key', 'custom-value'],
];
const RESPONSE_1 = [
  ...[':status', '302', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ...['location', 'https://www.example.com'],
];
const RESPONSE_2 = [':status', '307', ...RESPONSE_1.slice(2)];
const RESPONSE_3 = [
  ...[':status', '200', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ...['location', 'https://www.example.com', 'content-encoding', 'gzip'],
  ...['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
];

suite('RFC 7541, appendix C', () => {
  const singles: Readonly<Record<string, [string, string[]]>> = {
    'C.2.1 literal with indexing': [
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      ['custom-key', 'custom-header'],
    ],
    'C.2.2 literal without indexing': [
      '040c 2f73 616d 706c 652f 7061 7468',
      [':path', '/sample/path'],
    ],
    'C.2.3 literal never indexed': [
      '1008 7061 7373 776f 7264 0673 6563 7265 74',
      ['password', 'secret'],
    ],
    'C.2.4 indexed': ['82', [':method', 'GET']],
  };
  for (const [name, [bytes, fields]] of Object.entries(singles))
    test(name, () => assert.deepEqual(decoder().decode(hex(bytes)), fields));

  const sequences: Readonly<Record<string, [number, [string, string[]][]]>> = {
    'C.3 requests without Huffman': [
      4096,
      [
        ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', REQUEST_1],
        ['8286 84be 5808 6e6f 2d63 6163 6865', REQUEST_2],
        ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', REQUEST_3],
      ],
    ],
    'C.4 requests with Huffman': [
      4096,
      [
        ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', REQUEST_1],
        ['8286 84be 5886 a8eb 1064 9cbf', REQUEST_2],
        ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', REQUEST_3],
      ],
    ],
    'C.5 responses without Huffman, table of 256': [
      256,
      [
        [
          `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
           3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
          RESPONSE_1,
        ],
        ['4803 3330 37c1 c0bf', RESPONSE_2],
        [
          `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
           677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
           553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
          RESPONSE_3,
        ],
      ],
    ],
    'C.6 responses with Huffman, table of 256': [
      256,
      [
        [
          `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
           919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
          RESPONSE_1,
        ],
        ['4883 640e ffc1 c0bf', RESPONSE_2],
        [
          `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
           821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
           4ee5 b106 3d50 07`,
          RESPONSE_3,
        ],
      ],
    ],
  };
  for (const [name, [maxTableSize, blocks]] of Object.entries(sequences)) {
    test(name, () => {
      const one = decoder({ maxTableSize });
      for (const [bytes, fields] of blocks) assert.deepEqual(one.decode(hex(bytes)), fields);
    });
  }
});

suite('Huffman', () => {
  test('codes of every length', () => {
    assert.equal(huffman(hex('f1e3c2e5f23a6ba0ab90f4ff')), 'www.example.com');
    const samples: Readonly<Record<string, number>> = {
      '07': 0x30,
      '1f': 0x61,
      '53': 0x20,
      fe3f: 0x21,
      ffbf: 0x3e,
      ff9f: 0x7c,
      ffaf: 0x23,
      fffd: 0x7b,
      ffc7: 0x00,
      ffffb1: 0x01,
      fffe1f: 0x5c,
      fffffbbf: 0xff,
      ffffffef: 0xf9,
      fffffff3: 0x0a,
      fffffff7: 0x0d,
      fffffffb: 0x16,
    };
    for (const [bytes, symbol] of Object.entries(samples))
      assert.equal(huffman(hex(bytes)), String.fromCharCode(symbol), bytes);
  });

  test('refuses EOS, padding of 8 bits or more, and padding of zeros', () => {
    assert.equal(huffman(hex('ff')), undefined);
    assert.equal(huffman(hex('ffffffff')), undefined);
    assert.equal(huffman(hex('1c')), undefined);
    assert.equal(huffman(hex('1fff')), undefined);
    assert.equal(huffman(hex('fffffffc')), undefined);
    assert.equal(huffman(hex('1f')), 'a');
    assert.equal(huffman(Buffer.alloc(0)), '');
  });
});

suite('the decoder refuses', () => {
  const wrong: Readonly<Record<string, string>> = {
    'index 0': '80',
    'an index past both tables': 'be',
    'a name index past both tables': '7f 00 01 61',
    'an integer that does not end': '7f ff ff ff ff ff ff 0f',
    'an integer that is cut off': '7f',
    'a text that is cut off': '40 0a 63 75',
    'a block that ends before its value': '40 01 61',
    'a table size over what was announced': '3f e2 1f',
    'a table size update after a field': '82 20',
    'three table size updates': '20 20 20',
    'a Huffman text with EOS': '40 84 ff ff ff ff 01 61',
  };
  for (const [name, bytes] of Object.entries(wrong))
    test(name, () => assert.throws(() => decoder().decode(hex(bytes)), ConnectionError));
});

suite('limits', () => {
  test('too many bytes or fields: no list, and the table stays right', () => {
    const small = decoder({ maxListSize: 100, maxFields: 2 });
    assert.equal(small.decode(hex('4001 6101 62 82 82 be')), undefined);
    assert.deepEqual(small.decode(hex('be')), ['a', 'b']);
    assert.equal(small.decode(hex(`4001 6140 ${'62'.repeat(64)} be`)), undefined);
    assert.deepEqual(decoder({ maxFields: 2 }).decode(hex('82 82'))?.length, 4);
  });

  test('a bomb of references costs no memory', () => {
    const bomb = Buffer.concat([
      hex(`4001 617f 8119 ${'62'.repeat(3328)}`),
      Buffer.alloc(60_000, 0xbe),
    ]);
    assert.equal(decoder().decode(bomb), undefined);
  });

  test('an entry larger than the table empties it', () => {
    const one = decoder();
    one.decode(hex('4001 6101 62'));
    one.decode(hex(`20 3f e1 1f 4001 617f e120 ${'62'.repeat(4320)}`));
    assert.throws(() => one.decode(hex('be')), ConnectionError);
  });

  test('the table can be made smaller and larger again', () => {
    const one = decoder();
    one.decode(hex('4001 6101 62'));
    one.decode(hex('20 3f e1 1f 4001 6301 64'));
    assert.deepEqual(one.decode(hex('be')), ['c', 'd']);
    assert.throws(() => one.decode(hex('bf')), ConnectionError);
  });
});

suite('the encoder', () => {
  test('repeated fields cost a byte, sensitive ones never enter a table', () => {
    const encoder = new HpackEncoder();
    const fields = [':method', 'CONNECT', ':authority', '10.0.0.1:80', 'baggage', 'k=v'];
    const first = encoder.encode(fields);
    const second = encoder.encode(fields);
    assert.ok(first.length > 20);
    assert.equal(second.length, 3);
    const secret = encoder.encode(['authorization', 'Bearer x']);
    assert.equal((secret[0] ?? 0) & 0xf0, 0x10);
    assert.equal(encoder.encode(['authorization', 'Bearer x']).length, secret.length);
    const one = decoder();
    for (const block of [first, second]) assert.deepEqual(one.decode(block), fields);
    assert.deepEqual(one.decode(secret), ['authorization', 'Bearer x']);
  });

  test('static entries by their index', () => {
    const encoder = new HpackEncoder();
    for (const [index, [name, value]] of STATIC_TABLE.entries()) {
      if (value) assert.deepEqual([...encoder.encode([name, value])], [0x80 | index]);
    }
  });

  const names = fc.oneof(
    fc.constantFrom(':path', 'cookie', 'x', 'content-type', 'traceparent', 'accept-encoding'),
    fc.stringMatching(/^[a-z0-9-]{1,20}$/),
  );
  const values = fc.oneof(
    fc.constantFrom('', 'a', '/', 'gzip, deflate', 'x'.repeat(300), 'y'.repeat(5000)),
    fc.stringMatching(/^[\x20-\xff]{0,60}$/),
  );
  const lists = fc.array(fc.tuple(names, values), { maxLength: 12 });

  test('what it writes the decoder reads, whatever the table sizes between', () => {
    const step = fc.record({
      lists,
      size: fc.option(fc.constantFrom(0, 64, 200, 1000, 4096, 65_536), { nil: undefined }),
      other: fc.option(fc.constantFrom(0, 100, 4096), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const encoder = new HpackEncoder();
        const one = decoder({ maxListSize: 1e9, maxFields: 1e6 });
        for (const { lists: pairs, size, other } of steps) {
          if (size !== undefined) encoder.setMaxTableSize(size);
          if (other !== undefined) encoder.setMaxTableSize(other);
          assert.deepEqual(one.decode(Buffer.from(encoder.encode(pairs.flat()))), pairs.flat());
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('noise: the decoder ends with fields, with nothing, or with COMPRESSION_ERROR', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const one = decoder({ maxListSize: 2000 });
      try {
        for (const block of blocks) {
          const fields = one.decode(Buffer.from(block));
          assert.equal((fields?.length ?? 0) % 2, 0);
        }
      } catch (error) {
        assert.ok(error instanceof ConnectionError, String(error));
        assert.equal(error.code, 9);
      }
    }),
    { numRuns: 3000 },
  );
});
