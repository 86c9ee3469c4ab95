import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { PodwireError } from '../../../../src/errors.ts';
import { STRUCT_LAYOUTS } from '../../../../src/kernel/abi/layout.gen.ts';
import { abiHash, verifyAbi } from '../../../../src/kernel/abi/verify.ts';
import { BtfBuilder, type MemberSpec } from './btf-builder.ts';

type Field = { name: string; offset: number; size: number };

/** The BTF of an object in which `struct trust_key` is as `change` makes it. */
function objectWith(change: (fields: Field[]) => void, grow = 0): Uint8Array {
  const layout = STRUCT_LAYOUTS.find(({ name }) => name === 'trust_key');
  assert.ok(layout);
  const fields = layout.fields.map(([name, offset, size]) => ({ name, offset, size }));
  change(fields);
  const b = new BtfBuilder();
  const byte = b.int('unsigned char', 1);
  const members: MemberSpec[] = fields.map(({ name, offset, size }) => ({
    name,
    type: b.array(byte, size),
    bits: offset * 8,
  }));
  b.struct('unrelated', 1, [{ name: 'x', type: byte, bits: 0 }]);
  b.struct('trust_key', layout.size + grow, members);
  return b.bytes();
}

function linesOf(btf: Uint8Array): string[] {
  try {
    verifyAbi(btf, 'mesh.bpf.o');
  } catch (error) {
    assert.ok(error instanceof PodwireError);
    assert.equal(error.code, 'ERR_ABI_MISMATCH');
    const [first, ...lines] = error.message.split('\n');
    assert.equal(first, 'mesh.bpf.o was built from another bpf/abi.h:');
    return lines.map((line) => line.trim());
  }
  return [];
}

suite('verifyAbi', () => {
  test('accepts an object with the same structs and others', () => {
    assert.deepEqual(linesOf(objectWith(() => {})), []);
  });

  test('names a struct of another size', () => {
    assert.deepEqual(linesOf(objectWith(() => {}, 8)), [
      'struct trust_key: size 24 here, 32 in object',
    ]);
  });

  test('names a field that moved or has another size', () => {
    const swapped = objectWith((fields) => {
      const [, device, workload] = fields;
      assert.ok(device && workload);
      [device.offset, workload.offset] = [workload.offset, device.offset];
    });
    assert.deepEqual(linesOf(swapped), [
      'struct trust_key.device: offset 8 here, 12 in object',
      'struct trust_key.workload: offset 12 here, 8 in object',
    ]);
    const narrow = objectWith((fields) => {
      const last = fields.at(-1);
      assert.ok(last);
      last.size = 4;
    });
    assert.deepEqual(linesOf(narrow), ['struct trust_key.argv: size 8 here, 4 in object']);
  });

  test('names a field that only one side has', () => {
    const renamed = objectWith((fields) => {
      const last = fields.at(-1);
      assert.ok(last);
      last.name = 'arguments';
    });
    assert.deepEqual(linesOf(renamed), [
      'struct trust_key.argv: missing in object',
      'struct trust_key.arguments: missing here',
    ]);
  });

  test('damaged type information is refused with its cause', () => {
    assert.throws(
      () => verifyAbi(new Uint8Array(24), 'lookup.bpf.o'),
      (error: PodwireError) => {
        assert.equal(error.code, 'ERR_ABI_MISMATCH');
        assert.equal(error.message, 'the type information of lookup.bpf.o is damaged');
        assert.match(String(error.cause), /magic 0x0 is not that of BTF/);
        return true;
      },
    );
  });

  test('the hash is short hex', () => assert.match(abiHash(), /^[0-9a-f]{16}$/));
});
