import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Btf } from '../../../../src/kernel/abi/btf.ts';
import { abiHashOf, emitLayout } from '../../../../src/kernel/abi/emit.ts';
import { readSchema } from '../../../../src/kernel/abi/schema.ts';
import { BtfBuilder, type MemberSpec, sampleBtf } from './btf-builder.ts';

type Build = (b: BtfBuilder) => MemberSpec[];

/** The schema of one struct `s` with the members that `build` makes. */
function schemaOf(size: number, build: Build): ReturnType<typeof readSchema> {
  const b = new BtfBuilder();
  b.anchors([b.struct('s', size, build(b))]);
  return readSchema(Btf.parse(b.bytes()));
}

function enumText(name: string, values: readonly (readonly [string, number])[]): string {
  const b = new BtfBuilder();
  b.anchors([b.enum(name, values)]);
  return emitLayout(readSchema(Btf.parse(b.bytes())));
}

suite('the generated layout', () => {
  const sample = emitLayout(readSchema(Btf.parse(sampleBtf())));

  test('says in its first line that it is generated', () => {
    assert.match(sample.split('\n')[0] ?? '', /^\/\/ Generated from .* Do not edit\.$/);
  });

  test('is the same for the same input', () => {
    assert.equal(emitLayout(readSchema(Btf.parse(sampleBtf()))), sample);
  });

  for (const [what, text] of [
    [
      'an interface without pads',
      `export interface Outer {
  readonly addr: Uint8Array;
  readonly portBe: number;
  readonly delta: number;
  readonly key: InnerKey;
  readonly flags: number;
}`,
    ],
    [
      'a reader with byte order, sign and nesting',
      `  return {
    addr: getBytes(view, offset, 16),
    portBe: view.getUint16(offset + 16, false),
    delta: view.getInt32(offset + 20, true),
    key: readInnerKey(view, offset + 24),
    flags: view.getUint32(offset + 40, true),
  };`,
    ],
    [
      'a writer that zeroes pads',
      `  setBytes(view, offset, 16, value.addr, 'outer.addr');
  view.setUint16(offset + 16, value.portBe, false);
  view.setUint16(offset + 18, 0, true);
  view.setInt32(offset + 20, value.delta, true);
  writeInnerKey(view, offset + 24, value.key);
  view.setUint32(offset + 40, value.flags, true);
  view.setUint32(offset + 44, 0, true);
  view.setUint32(offset + 48, 0, true);
`,
    ],
    [
      'arrays of numbers',
      `    count: [
      view.getBigUint64(offset, true),
      view.getBigUint64(offset + 8, true),
    ],`,
    ],
    [
      'a codec of the same name',
      `export const InnerKey: StructCodec<InnerKey> = {
  size: INNER_KEY_SIZE,
  read: readInnerKey,
  write: writeInnerKey,
  encode: encodeInnerKey,
  decode: decodeInnerKey,
};`,
    ],
    ['the table of layouts with pads', `      ['pad2', 44, 8, 'u8[8]'],`],
    [
      'an enum without its prefix',
      `export const Colour = {
  RED: 0,
  DARK_BLUE: 1,
  MAX: 2,
} as const;
export type Colour = (typeof Colour)[keyof typeof Colour];
export const colourNames: readonly string[] = [
  'red', 'dark-blue',
];`,
    ],
  ] as const) {
    test(`has ${what}`, () => assert.ok(sample.includes(text), sample));
  }

  test('flags get names by value', () => {
    const text = enumText('pod_flags', [
      ['POD_CAPTURE_PROXY', 1],
      ['POD_SPLICE', 4],
    ]);
    assert.ok(
      text.includes(`export const podFlagsNames: { readonly [value: number]: string } = {
  1: 'capture-proxy',
  4: 'splice',
};`),
    );
  });

  test('a common prefix ends at a word; a single member loses what it shares with its enum', () => {
    const words = enumText('e', [
      ['MAX_PODS', 1],
      ['MAXIMUM', 2],
    ]);
    assert.match(words, /MAX_PODS: 1,\n {2}MAXIMUM: 2/);
    assert.match(enumText('trust_flags', [['TRUST_INTERPRETER', 1]]), /\{\n {2}INTERPRETER: 1/);
    assert.match(enumText('e', [['ONLY', 1]]), /\{\n {2}ONLY: 1/);
    assert.match(
      enumText('size', [
        ['SIZE_1', 1],
        ['SIZE_2', 2],
      ]),
      /SIZE_1: 1,\n {2}SIZE_2: 2/,
    );
  });

  test('limits with equal values get no names', () => {
    const text = enumText('limits', [
      ['MAX_A', 8],
      ['MAX_B', 8],
    ]);
    assert.ok(!text.includes('limitsNames'));
  });

  test('two types may not get one name', () => {
    const b = new BtfBuilder();
    const int = b.int('unsigned int', 4);
    b.anchors([
      b.enum('flow_key', [['A', 0]]),
      b.struct('flowKey', 4, [{ name: 'a', type: int, bits: 0 }]),
    ]);
    const schema = readSchema(Btf.parse(b.bytes()));
    assert.throws(() => emitLayout(schema), {
      message: 'struct flowKey and enum flow_key would both be FlowKey',
    });
  });
});

suite('the hash of the shared types', () => {
  const hash = (...names: string[]): string => {
    const build: Build = (b) => {
      const int = b.int('unsigned int', 4);
      return names.map((name, i) => ({ name, type: int, bits: 32 * i }));
    };
    return abiHashOf(schemaOf(4 * names.length, build));
  };

  test('changes with a name, a size or an order and with nothing else', () => {
    assert.equal(hash('a', 'b'), hash('a', 'b'));
    assert.notEqual(hash('a', 'b'), hash('b', 'a'));
    assert.notEqual(hash('a', 'b'), hash('a', 'c'));
    assert.notEqual(hash('a'), hash('a', 'b'));
    assert.match(hash('a'), /^[0-9a-f]{16}$/);
  });
});

suite('what abi.h may not contain is refused by name', () => {
  const cases: [string, number, Build, string][] = [
    [
      'a pointer',
      8,
      (b) => [{ name: 'sock', type: b.ptr(0), bits: 0 }],
      'struct s.sock: a ptr cannot be shared with user space',
    ],
    [
      'a union',
      4,
      (b) => {
        const int = b.int('unsigned int', 4);
        const either = b.struct('u', 4, [{ name: 'a', type: int, bits: 0 }], true);
        return [{ name: 'either', type: either, bits: 0 }];
      },
      'struct s.either: a union cannot be shared with user space',
    ],
    [
      'a bitfield',
      4,
      (b) => [{ name: 'bit', type: b.int('unsigned int', 4), bits: 0, bitfield: 1 }],
      'struct s.bit: bitfields are refused: use a whole integer',
    ],
    [
      'a bool',
      1,
      (b) => [{ name: 'on', type: b.int('_Bool', 1, 4), bits: 0 }],
      'struct s.on: bool is refused: use __u8',
    ],
    [
      'an anonymous member',
      4,
      (b) => [{ name: '', type: b.int('unsigned int', 4), bits: 0 }],
      'struct s.(anonymous): anonymous members are refused: name it',
    ],
    [
      'an array of structs',
      8,
      (b) => {
        const int = b.int('unsigned int', 4);
        const inner = b.struct('i', 4, [{ name: 'a', type: int, bits: 0 }]);
        return [{ name: 'list', type: b.array(inner, 2), bits: 0 }];
      },
      'struct s.list: arrays of struct are refused',
    ],
    [
      'a struct that is not anchored',
      4,
      (b) => {
        const int = b.int('unsigned int', 4);
        const inner = b.struct('i', 4, [{ name: 'a', type: int, bits: 0 }]);
        return [{ name: 'key', type: inner, bits: 0 }];
      },
      'struct s.key: struct i is not anchored',
    ],
    [
      'a hole',
      8,
      (b) => {
        const byte = b.int('unsigned char', 1);
        const int = b.int('unsigned int', 4);
        return [
          { name: 'a', type: byte, bits: 0 },
          { name: 'b', type: int, bits: 32 },
        ];
      },
      'struct s.b: starts at 4 and the field before ends at 1: make the padding a field',
    ],
    [
      'a hole at the end',
      8,
      (b) => [{ name: 'a', type: b.int('unsigned int', 4), bits: 0 }],
      'struct s: has 8 bytes and its last field ends at 4: make the padding a field',
    ],
    [
      'an odd integer',
      16,
      (b) => [{ name: 'wide', type: b.int('__int128', 16), bits: 0 }],
      'struct s.wide: integers of 16 bytes are refused',
    ],
  ];
  for (const [what, size, build, message] of cases) {
    test(what, () => assert.throws(() => schemaOf(size, build), { message }));
  }

  test('an object without anchors', () => {
    const b = new BtfBuilder();
    b.int('int', 4);
    assert.throws(() => readSchema(Btf.parse(b.bytes())), {
      message: 'no variable is in section .abi',
    });
  });

  test('an enum value that a number cannot hold', () => {
    const b = new BtfBuilder();
    b.anchors([b.enum64('e', [['TOP', 2n ** 63n]])]);
    assert.throws(() => readSchema(Btf.parse(b.bytes())), {
      message: 'enum e.TOP: 9223372036854775808 does not fit into a number',
    });
  });
});
