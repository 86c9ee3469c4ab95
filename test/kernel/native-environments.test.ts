/** The addon in several threads at once, and what it leaves open: nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Binding, loadBinding } from '../../src/kernel/binding.ts';
import { u32, u64 } from '../../src/kernel/typed-map.ts';
import { skipReason } from '../support/node.ts';
import { compileFixture, makeNetns, openDescriptors, startWorker } from './native-fixture.ts';

const skip = skipReason();

test('workers load objects at once, each with the log of its own', { skip }, async (context) => {
  const good = compileFixture(context, 'native');
  const rejected = compileFixture(context, 'native-rejected');
  const body = `
    let logs = 0;
    for (let i = 0; i < 20; i++) {
      const object = addon.openObject(data);
      try { object.load(); } catch (error) { logs += error.log.includes('map_value_or_null') ? 1 : 0; }
      object.close();
      try { addon.openPinnedLink('/nowhere'); } catch (error) { if (error.log.includes('VERIFIER')) logs += 100; }
    }
    parentPort.postMessage(logs);`;
  const workers = [good, rejected, good, rejected].map((path) => startWorker(body, path));
  const logs = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
  assert.deepEqual(logs, [0, 20, 0, 20]);
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test('a worker writes a map of the main thread', { skip }, async () => {
  const map = loadBinding().createMap({
    ...{ type: 1, name: 'test_shared', keySize: 4, valueSize: 8, maxEntries: 4 },
  });
  const worker = startWorker(
    `const map = addon.mapFromFd(data.fd);
     map.update(data.key, data.value);
     map.close();`,
    { fd: map.fd, key: u32.encode(1), value: u64.encode(9n) },
  );
  assert.equal((await once(worker, 'exit'))[0], 0);
  assert.deepEqual(map.lookup(u32.encode(1)), u64.encode(9n));
  map.close();
});

test('a worker visits a namespace while the main thread does not', { skip }, async (context) => {
  const binding = loadBinding();
  const netnsPath = makeNetns(context);
  const own = binding.netnsCookie('/proc/self/ns/net');
  const worker = startWorker(
    `for (let i = 0; i < 2000; i++) addon.netnsCookie(data);
     parentPort.postMessage(addon.netnsCookie(data));`,
    netnsPath,
  );
  let cookie: unknown;
  worker.once('message', (message) => (cookie = message));
  while (cookie === undefined) {
    const { fd } = binding.listenIn({
      ...{ netnsPath: null, family: 4, addr: new Uint8Array(16), port: 0, backlog: 1 },
    });
    assert.notEqual(binding.socketCookie(fd), 0n);
    binding.closeFd(fd);
    await sleep(0);
  }
  assert.equal(cookie, binding.netnsCookie(netnsPath));
  assert.notEqual(cookie, own);
  await worker.terminate();
});

test('workers end with rings open, waiting and busy', { skip }, async (context) => {
  const object = compileFixture(context, 'native');
  const body = `
    const object = addon.openObject(data);
    object.load();
    const emit = () => object.program('emit_loud').testRun({ data: new Uint8Array(60) });
    addon.openRingBuffer(object.map('records'), () => emit()); // for ever
    addon.openRingBuffer(object.map('records'), () => {}).close();
    emit();
    setTimeout(() => parentPort.postMessage('busy'), 20);`;
  const before = openDescriptors();
  for (let round = 0; round < 3; round++) {
    const terminated = startWorker(body + 'setInterval(() => {}, 1000);', object);
    await once(terminated, 'message');
    await terminated.terminate();
    const exited = startWorker(body, object);
    const exit = once(exited, 'exit');
    await once(exited, 'message');
    assert.equal((await exit)[0], 0);
  }
  assert.ok(openDescriptors() <= before, `${openDescriptors()} descriptors, ${before} before`);
});

test('what is closed leaves no descriptor', { skip }, async (context) => {
  const binding = loadBinding();
  const path = compileFixture(context, 'native');
  const rejected = compileFixture(context, 'native-rejected');
  const netnsPath = makeNetns(context);
  useEverything(binding, path, rejected, netnsPath);
  await sleep(10);
  const before = openDescriptors();
  for (let round = 0; round < 5; round++) useEverything(binding, path, rejected, netnsPath);
  await sleep(10); // libuv closes handles in its next turn
  assert.equal(openDescriptors(), before);
});

function useEverything(binding: Binding, path: string, rejected: string, netnsPath: string): void {
  const object = binding.openObject(path);
  object.load();
  const map = binding.createMap({
    ...{ type: 1, name: 'test_leak', keySize: 4, valueSize: 8, maxEntries: 4 },
  });
  const copy = binding.mapFromFd(map.fd);
  const links = [
    object.program('look').attachNetns(netnsPath),
    object.program('listeners').attachIter(),
    object.program('values').attachIter(map),
    object.program('traced').attachTracing(),
  ];
  links[1]?.readIter(netnsPath);
  const ring = binding.openRingBuffer(object.map('records'), () => {});
  object.program('emit_loud').testRun({ data: new Uint8Array(50) });
  assert.equal(ring.consume(), 1);
  const bad = binding.openObject(rejected);
  assert.throws(() => bad.load());
  binding.readBtf(path);
  binding.netnsCookie(netnsPath);
  assert.throws(() => binding.openPinnedMap('/nowhere'));
  assert.throws(() => object.program('look').attachCgroup('/proc'));
  for (const closable of [ring, ...links, copy, map, bad, object]) closable.close();
}
