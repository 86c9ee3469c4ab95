import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import * as layout from '../../../../src/kernel/abi/layout.gen.ts';

const { FlowKey, LiveConn, Behaviours, STRUCT_LAYOUTS } = layout;

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const addr = fc.uint8Array({ minLength: 16, maxLength: 16 });

const flowKey = fc.record(
  { local: addr, remote: addr, localPort: u16, remotePort: u16, netns: u64 },
  { noNullPrototype: true },
);
const trustKey = fc.record(
  { inode: u64, device: u32, workload: u32, argv: u64 },
  { noNullPrototype: true },
);

suite('codecs of the layout', () => {
  test('what is written is read back', () => {
    const liveConn = fc.record(
      { trust: trustKey, cookie: u64, received: u64 },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(flowKey, (key) => assert.deepEqual(FlowKey.decode(FlowKey.encode(key)), key)),
    );
    fc.assert(
      fc.property(liveConn, (conn) =>
        assert.deepEqual(LiveConn.decode(LiveConn.encode(conn)), conn),
      ),
    );
  });

  test('fields are where the C compiler puts them', () => {
    const local = Uint8Array.from({ length: 16 }, (_, i) => i);
    const remote = local.map((byte) => byte + 16);
    const bytes = FlowKey.encode({ local, remote, localPort: 0x1234, remotePort: 80, netns: 5n });
    assert.equal(
      Buffer.from(bytes).toString('hex'),
      '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f' +
        '3412' +
        '5000' +
        '00000000' +
        '0500000000000000',
    );
  });

  test('pads are written 0 over what was there', () => {
    const bytes = new Uint8Array(FlowKey.size + 2).fill(0xff);
    const key = FlowKey.decode(new Uint8Array(FlowKey.size));
    layout.writeFlowKey(new DataView(bytes.buffer), 1, key);
    assert.deepEqual(
      bytes,
      Uint8Array.from(bytes, (_, i) => (i === 0 || i === FlowKey.size + 1 ? 0xff : 0)),
    );
  });

  test('byte arrays are copies', () => {
    const bytes = new Uint8Array(FlowKey.size);
    const key = FlowKey.decode(bytes);
    bytes.fill(7);
    assert.deepEqual(key.local, new Uint8Array(16));
  });

  test('arrays of numbers keep their order', () => {
    const count = Array.from({ length: layout.Behaviour.MAX }, (_, i) => BigInt(i));
    const bytes = Behaviours.encode({ count, tgid: 9 });
    assert.deepEqual(Behaviours.decode(bytes), { count, tgid: 9 });
    assert.throws(() => Behaviours.encode({ count: [1n], tgid: 0 }), {
      message: `behaviours.count takes ${layout.Behaviour.MAX} numbers, not 1`,
    });
  });

  test('a buffer that is too short, or an address of 4 bytes, is an error that names the struct', () => {
    assert.throws(() => FlowKey.decode(new Uint8Array(50), 4), {
      message: 'struct flow_key needs 48 bytes at offset 4, the buffer has 50',
    });
    assert.throws(() => FlowKey.decode(new Uint8Array(64).subarray(20)), /the buffer has 44/);
    const key = FlowKey.decode(new Uint8Array(48));
    assert.throws(() => FlowKey.encode({ ...key, remote: new Uint8Array(4) }), {
      message: 'flow_key.remote takes 16 bytes, not 4',
    });
  });

  test('decoding at an offset reads the packed entries of a batch', () => {
    fc.assert(
      fc.property(fc.array(flowKey, { maxLength: 5 }), (keys) => {
        const batch = Buffer.concat(keys.map((key) => FlowKey.encode(key)));
        keys.forEach((key, i) => assert.deepEqual(FlowKey.decode(batch, i * FlowKey.size), key));
      }),
    );
  });
});

suite('the table of layouts', () => {
  test('each struct is filled without holes', () => {
    for (const { name, size, fields } of STRUCT_LAYOUTS) {
      let end = 0;
      for (const [field, offset, bytes] of fields) {
        assert.equal(offset, end, `${name}.${field}`);
        end += bytes;
      }
      assert.equal(end, size, name);
    }
  });

  test('names of reasons are short and in kebab case', () => {
    assert.equal(layout.reasonNames[layout.Reason.NO_ENDPOINT], 'no-endpoint');
    assert.equal(layout.reasonNames.length, layout.Reason.MAX);
    assert.equal(layout.counterNames.length, layout.Counter.MAX);
  });
});
