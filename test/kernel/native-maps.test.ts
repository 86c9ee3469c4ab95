/** Maps of the addon against the kernel: single and batched calls, dumps beside a writer, refusals. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BpfMap, loadBinding } from '../../src/kernel/binding.ts';
import { u32, u64 } from '../../src/kernel/typed-map.ts';
import { skipReason } from '../support/node.ts';
import {
  MapType,
  NO_PREALLOC,
  loadFixture,
  makePinFolder,
  refusal,
  startWorker,
  u32Keys,
  u64Values,
} from './native-fixture.ts';

const skip = skipReason();
const BPF_NOEXIST = 1;
const BPF_EXIST = 2;

function hashOf(maxEntries: number): BpfMap {
  return loadBinding().createMap({
    ...{ type: MapType.HASH, name: 'test_hash', keySize: 4, valueSize: 8 },
    ...{ maxEntries, flags: NO_PREALLOC },
  });
}

function lpmOf(maxEntries: number): BpfMap {
  return loadBinding().createMap({
    ...{ type: MapType.LPM_TRIE, name: 'test_lpm', keySize: 8, valueSize: 8 },
    ...{ maxEntries, flags: NO_PREALLOC },
  });
}

/** Keys of an LPM trie over 4 bytes: prefix length, then the number in network order. */
function lpmKeys(count: number, first = 0): Uint8Array {
  const keys = new DataView(new ArrayBuffer(8 * count));
  for (let i = 0; i < count; i++) {
    keys.setUint32(8 * i, 32, true);
    keys.setUint32(8 * i + 4, first + i, false);
  }
  return new Uint8Array(keys.buffer);
}

test('a hash map says what it is and keeps what is written', { skip }, () => {
  const map = hashOf(10);
  const { id, ...info } = map.info();
  assert.ok(id > 0);
  assert.deepEqual(info, {
    ...{ name: 'test_hash', type: MapType.HASH, keySize: 4, valueSize: 8 },
    ...{ maxEntries: 10, flags: NO_PREALLOC },
  });
  const key = u32.encode(5);
  assert.equal(map.lookup(key), undefined);
  map.update(key, u64.encode(77n), BPF_NOEXIST);
  assert.deepEqual(map.lookup(key), u64.encode(77n));
  assert.throws(
    () => map.update(key, u64.encode(1n), BPF_NOEXIST),
    refusal({ code: 'EEXIST', errno: 17, syscall: 'bpf_map_update_elem' }),
  );
  assert.throws(
    () => map.update(u32.encode(6), u64.encode(1n), BPF_EXIST),
    refusal({ code: 'ENOENT', errno: 2 }),
  );
  assert.equal(map.delete(key), true);
  assert.equal(map.delete(key), false);
  map.close();
});

test('keys and values of a wrong size are refused before the kernel sees them', { skip }, () => {
  const map = hashOf(10);
  assert.throws(() => map.lookup(new Uint8Array(3)), RangeError);
  assert.throws(() => map.update(u32.encode(1), new Uint8Array(4)), RangeError);
  assert.throws(() => map.updateBatch(u32Keys(2), u64Values(2), 3), RangeError);
  assert.throws(() => map.lookup('1234' as unknown as Uint8Array), TypeError);
  map.close();
});

for (const { name, make, keys } of [
  { name: 'hash', make: hashOf, keys: u32Keys },
  { name: 'LPM trie', make: lpmOf, keys: lpmKeys },
]) {
  test(`batches and dump of a ${name} hold everything once`, { skip }, () => {
    const count = 20_000;
    const map = make(count);
    map.updateBatch(keys(count), u64Values(count, 3), count);
    const dump = map.dump();
    assert.equal(dump.count, count);
    const { keySize } = map.info();
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      const number = new DataView(dump.keys.buffer, (i + 1) * keySize - 4).getUint32(
        0,
        name === 'hash',
      );
      assert.equal(u64.decode(dump.values, i * 8), BigInt(number * 3));
      seen.add(number);
    }
    assert.equal(seen.size, count);
    const beyond = keys(10, count - 5); // five are there, five are not
    assert.equal(map.deleteBatch(beyond, 10), 5);
    assert.equal(map.deleteBatch(beyond, 10), 0);
    assert.equal(map.dump().count, count - 5);
    map.close();
  });

  test(`dump of a ${name} beside a writer has every lasting key once`, { skip }, async () => {
    const lasting = 2000;
    const passing = 3000;
    const map = make(lasting + passing);
    map.updateBatch(keys(lasting), u64Values(lasting), lasting);
    const worker = startWorker(
      `const map = addon.mapFromFd(data.fd);
       const step = () => {
         map.updateBatch(data.keys, data.values, data.count);
         map.deleteBatch(data.keys, data.count);
         setImmediate(step);
       };
       parentPort.postMessage('running');
       step();`,
      { fd: map.fd, keys: keys(passing, lasting), values: u64Values(passing), count: passing },
    );
    await once(worker, 'message');
    const { keySize } = map.info();
    for (let round = 0; round < 100; round++) {
      const dump = map.dump();
      const seen = new Map<number, number>();
      for (let i = 0; i < dump.count; i++) {
        const at = new DataView(dump.keys.buffer, (i + 1) * keySize - 4);
        const number = at.getUint32(0, name === 'hash');
        seen.set(number, (seen.get(number) ?? 0) + 1);
      }
      for (let number = 0; number < lasting; number++) {
        assert.equal(seen.get(number), 1, `key ${number} in round ${round}`);
      }
      assert.equal(seen.size, dump.count);
      if (round % 10 === 0) await sleep(1);
    }
    await worker.terminate();
    map.close();
  });
}

test('a full map says so and how far a batch came', { skip }, () => {
  const map = hashOf(8);
  assert.throws(
    () => map.updateBatch(u32Keys(9), u64Values(9), 9),
    (error: Error) => {
      assert.match(error.message, /after 8 of 9 entries/);
      return refusal({ code: 'E2BIG', errno: 7, syscall: 'bpf_map_update_batch' })(error);
    },
  );
  assert.equal(map.dump().count, 8);
  map.close();
});

test('batches with BPF_NOEXIST go one by one', { skip }, () => {
  const map = hashOf(8);
  map.updateBatch(u32Keys(3), u64Values(3), 3, BPF_NOEXIST);
  assert.throws(
    () => map.updateBatch(u32Keys(4, 2), u64Values(4), 4, BPF_NOEXIST),
    refusal({ code: 'EEXIST', syscall: 'bpf_map_update_elem' }),
  );
  assert.equal(map.dump().count, 3);
  map.close();
});

test('an empty map dumps nothing', { skip }, () => {
  for (const map of [hashOf(4), lpmOf(4)]) {
    assert.deepEqual(map.dump(), { keys: new Uint8Array(), values: new Uint8Array(), count: 0 });
    assert.equal(map.deleteBatch(new Uint8Array(), 0), 0);
    map.updateBatch(new Uint8Array(), new Uint8Array(), 0);
    map.close();
  }
});

test('sockhash: values are cookies, or empty where the kernel shows none', { skip }, () => {
  const binding = loadBinding();
  const listen = { netnsPath: null, family: 4, port: 0, backlog: 1 } as const;
  for (const valueSize of [8, 4]) {
    const map = binding.createMap({
      ...{ type: MapType.SOCKHASH, name: 'test_socks', keySize: 4, valueSize, maxEntries: 4 },
    });
    const addr = new Uint8Array(16);
    const { fd } = binding.listenIn({ ...listen, addr, slot: { map, key: u32.encode(3) } });
    const dump = map.dump();
    assert.equal(dump.count, 1);
    assert.deepEqual(dump.keys, u32.encode(3));
    if (valueSize === 8) {
      assert.equal(u64.decode(dump.values), binding.socketCookie(fd));
      assert.deepEqual(map.lookup(u32.encode(3)), dump.values);
    } else {
      assert.equal(dump.values.length, 0);
    }
    binding.closeFd(fd);
    assert.equal(map.dump().count, 0, 'the kernel takes closed sockets out');
    assert.equal(map.deleteBatch(u32Keys(2), 2), 0);
    map.close();
  }
});

test('an inner map reaches programs through a hash of maps', { skip }, (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding, (opened) =>
    opened.setRodata('stamp', u64.encode(4000n)),
  );
  const inner = hashOf(500);
  inner.update(u32.encode(9), u64.encode(321n));
  object.map('tables').update(u32.encode(7), u32.encode(inner.fd));
  assert.deepEqual(object.map('tables').lookup(u32.encode(7)), u32.encode(inner.info().id));
  inner.close();
  object.program('read_tables').testRun({ data: new Uint8Array(64) });
  assert.deepEqual(object.map('sums').lookup(u32.encode(1)), u64.encode(4321n));
  assert.equal(object.map('tables').dump().count, 1);
});

test('a map can be pinned, opened, frozen; a closed one throws EBADF', { skip }, (context) => {
  const binding = loadBinding();
  const path = `${makePinFolder(context)}/map`;
  const map = hashOf(4);
  map.pin(path);
  assert.throws(() => map.pin(path), refusal({ code: 'EEXIST', syscall: 'bpf_obj_pin' }));
  const again = binding.openPinnedMap(path);
  const copy = binding.mapFromFd(map.fd);
  assert.equal(again.info().id, map.info().id);
  assert.equal(copy.info().id, map.info().id);
  assert.notEqual(copy.fd, map.fd);
  map.close();
  map.close();
  assert.throws(() => map.fd, refusal({ code: 'EBADF', errno: 9 }));
  assert.throws(() => map.dump(), refusal({ code: 'EBADF' }));
  copy.freeze();
  assert.throws(() => again.update(u32.encode(1), u64.encode(1n)), refusal({ code: 'EPERM' }));
  assert.throws(
    () => binding.openPinnedMap(`${path}2`),
    refusal({ code: 'ENOENT', syscall: 'bpf_obj_get' }),
  );
  assert.throws(() => binding.mapFromFd(0), refusal({ code: 'EINVAL' }));
  again.close();
  copy.close();
});

test('createMap passes the refusal of the kernel on', { skip }, () => {
  assert.throws(() => hashOf(0), refusal({ code: 'EINVAL', errno: 22, syscall: 'bpf_map_create' }));
});
