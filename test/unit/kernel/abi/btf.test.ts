import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { Btf, BtfError } from '../../../../src/kernel/abi/btf.ts';
import { ElfError, elfSection } from '../../../../src/kernel/abi/elf-section.ts';
import { readSchema } from '../../../../src/kernel/abi/schema.ts';
import { BtfBuilder, elfWith, sampleBtf } from './btf-builder.ts';

suite('BTF', () => {
  test('types are numbered from 1, 0 is void', () => {
    const b = new BtfBuilder();
    const id = b.int('int', 4, 1);
    const btf = Btf.parse(b.bytes());
    assert.deepEqual(btf.type(0), { kind: 'void' });
    assert.deepEqual(btf.type(id), { kind: 'int', size: 4, signed: true, bool: false });
    assert.throws(() => btf.type(99), { message: 'type 99 does not exist: there are 2' });
  });

  test('aliases are looked through, array sizes multiply', () => {
    const b = new BtfBuilder();
    const u16 = b.int('unsigned short', 2);
    const alias = b.constant(b.typedef('__be16', b.typedef('__u16', u16)));
    const array = b.array(b.array(alias, 3), 5);
    const btf = Btf.parse(b.bytes());
    assert.equal(btf.resolve(alias), btf.type(u16));
    assert.equal(btf.sizeOf(array), 30);
    assert.equal(btf.isTypedef(alias, '__be16'), true);
    assert.equal(btf.isTypedef(u16, '__be16'), false);
  });

  test('enums of 32 and 64 bits keep sign and width', () => {
    const b = new BtfBuilder();
    const small = b.enum('small', [['MINUS', 0xffffffff]], true);
    const unsigned = b.enum('unsigned', [['TOP', 0xffffffff]]);
    const large = b.enum64(
      'large',
      [
        ['LOW', -(2n ** 63n)],
        ['ONE', 1n],
      ],
      true,
    );
    const btf = Btf.parse(b.bytes());
    const values = (id: number): bigint[] => {
      const type = btf.type(id);
      return type.kind === 'enum' ? type.values.map(({ value }) => value) : [];
    };
    assert.deepEqual(values(small), [-1n]);
    assert.deepEqual(values(unsigned), [4294967295n]);
    assert.deepEqual(values(large), [-(2n ** 63n), 1n]);
  });

  test('a cycle of aliases is an error, not a loop', () => {
    const b = new BtfBuilder();
    b.typedef('a', 2);
    b.typedef('b', 1);
    b.array(3, 2);
    const btf = Btf.parse(b.bytes());
    assert.throws(() => btf.resolve(1), /more than 32 aliases/);
    assert.throws(() => btf.sizeOf(3), /nests too many arrays/);
    assert.equal(btf.isTypedef(1, 'c'), false);
  });

  for (const [what, change, message] of [
    ['another magic', (h: Buffer) => h.writeUInt16LE(0x1234, 0), /magic 0x1234/],
    ['big-endian', (h: Buffer) => h.writeUInt16LE(0x9feb, 0), /big-endian/],
    ['a later version', (h: Buffer) => h.writeUInt8(2, 2), /version 2 is not known/],
    ['a short header', (h: Buffer) => h.writeUInt32LE(8, 4), /8 bytes is too short/],
    ['types behind the end', (h: Buffer) => h.writeUInt32LE(0xfffffff0, 12), /types end behind/],
    [
      'strings behind the end',
      (h: Buffer) => h.writeUInt32LE(0xfffffff0, 20),
      /strings end behind/,
    ],
    [
      'a type cut short',
      (h: Buffer) => h.writeUInt32LE(h.readUInt32LE(12) - 4, 12),
      /is cut short/,
    ],
    ['an unknown kind', (h: Buffer) => h.writeUInt8(31, 24 + 7), /type 1 has the unknown kind 31/],
    ['a name outside', (h: Buffer) => h.writeUInt32LE(0xffffffff, 24), /has no end/],
  ] as const) {
    test(`${what} is refused`, () => {
      const bytes = Buffer.from(sampleBtf());
      change(bytes);
      assert.throws(
        () => Btf.parse(bytes),
        (error: Error) => {
          assert.ok(error instanceof BtfError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  test('a blob that does not start at its buffer is read from its own start', () => {
    const bytes = sampleBtf();
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    assert.deepEqual(Btf.parse(shifted.subarray(3)).types, Btf.parse(bytes).types);
  });

  test('damaged bytes end in a result or a BtfError', () => {
    const good = sampleBtf();
    const mutation = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }));
    const damage = fc.tuple(
      fc.array(mutation, { minLength: 1, maxLength: 12 }),
      fc.nat(good.length),
    );
    fc.assert(
      fc.property(damage, ([mutations, cut]) => {
        const bytes = good.slice(0, good.length - (cut % 7 === 0 ? cut : 0));
        for (const [at, value] of mutations) if (at < bytes.length) bytes[at] = value;
        onlyThrows(BtfError, () => readSchema(Btf.parse(bytes)));
      }),
      { numRuns: 5000 },
    );
  });

  test('arbitrary bytes behind a valid header end in a result or a BtfError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(400), (body, types) => {
        const bytes = new Uint8Array(24 + body.length);
        bytes.set(sampleBtf().subarray(0, 24));
        bytes.set(body, 24);
        const split = Math.min(types, body.length);
        const view = new DataView(bytes.buffer);
        view.setUint32(12, split, true);
        view.setUint32(16, split, true);
        view.setUint32(20, body.length - split, true);
        onlyThrows(BtfError, () => {
          const btf = Btf.parse(bytes);
          btf.types.forEach((_, id) => onlyThrows(BtfError, () => btf.sizeOf(id)));
        });
      }),
      { numRuns: 3000 },
    );
  });
});

suite('ELF sections', () => {
  const content = Uint8Array.of(1, 2, 3);

  test('a section is found by its whole name', () => {
    const file = elfWith('.BTF.ext', content);
    assert.deepEqual(elfSection(file, '.BTF.ext'), content);
    assert.equal(elfSection(file, '.BTF'), undefined);
    assert.throws(() => Btf.fromElf(file), /has no \.BTF section/);
  });

  test('BTF is read out of an ELF file', () => {
    const btf = Btf.fromElf(elfWith('.BTF', sampleBtf()));
    assert.deepEqual(btf.types, Btf.parse(sampleBtf()).types);
  });

  test('what is no such file is refused', () => {
    assert.throws(() => elfSection(new Uint8Array(10), '.BTF'), { message: 'no ELF file' });
    const file = elfWith('.BTF', content);
    file[4] = 1;
    assert.throws(() => elfSection(file, '.BTF'), /no 64-bit little-endian ELF/);
    const short = elfWith('.BTF', content).slice(0, -1);
    assert.throws(() => elfSection(short, '.BTF'), {
      message: `the section table ends at byte ${short.length + 1} of a file of ${short.length}`,
    });
  });

  test('damaged files end in a result or an ElfError', () => {
    const good = elfWith('.BTF', content);
    const mutation = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(
        fc.array(mutation, { minLength: 1, maxLength: 8 }),
        fc.nat(64),
        (mutations, cut) => {
          const bytes = good.slice(0, good.length - (cut % 5 === 0 ? cut : 0));
          for (const [at, value] of mutations) if (at < bytes.length) bytes[at] = value;
          onlyThrows(ElfError, () => elfSection(bytes, '.BTF'));
        },
      ),
      { numRuns: 5000 },
    );
  });
});

function onlyThrows(kind: typeof BtfError | typeof ElfError, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof kind)) throw error;
  }
}
