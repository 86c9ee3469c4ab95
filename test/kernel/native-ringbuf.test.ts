/** The addon's ring buffer: what is delivered when, and how it ends. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BpfObject, type RingBuffer, loadBinding } from '../../src/kernel/binding.ts';
import { skipReason } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';
import { compileFixture, loadFixture, refusal } from './native-fixture.ts';

const skip = skipReason();
const TEXT = 'abcdefghijklmno\0';

/** Lengths of packets, and thereby of records. */
function emit(object: BpfObject, loud: boolean, ...lengths: number[]): void {
  const program = object.program(loud ? 'emit_loud' : 'emit_quiet');
  for (const length of lengths) {
    assert.equal(program.testRun({ data: new Uint8Array(48 + length) }).retval, 1);
  }
}

function recordsOf(batch: Uint8Array): string[] {
  const bytes = Buffer.from(batch);
  const records: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = bytes.readUInt32LE(at);
    assert.equal(bytes.readUInt32LE(at + 4), 0);
    records.push(bytes.toString('latin1', at + 8, at + 8 + length));
    const end = at + 8 + ((length + 7) & ~7);
    assert.ok(bytes.subarray(at + 8 + length, end).every((byte) => byte === 0));
    at = end;
  }
  assert.equal(at, bytes.length);
  return records;
}

interface Opened {
  readonly object: BpfObject;
  readonly ring: RingBuffer;
  readonly batches: string[][];
}

function openRing(context: TestContext): Opened {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  const batches: string[][] = [];
  const ring = binding.openRingBuffer(object.map('records'), (batch) => {
    batches.push(recordsOf(batch));
  });
  context.after(() => ring.close());
  return { object, ring, batches };
}

test('one wake-up delivers all records that wait, in order', { skip }, async (context) => {
  const { object, batches } = openRing(context);
  emit(object, true, 1, 8, 13, 16);
  assert.deepEqual(batches, []);
  await sleep(20);
  assert.deepEqual(batches, [['a', TEXT.slice(0, 8), TEXT.slice(0, 13), TEXT]]);
});

test('consume() delivers at once what came without a wake-up', { skip }, async (context) => {
  const { object, ring, batches } = openRing(context);
  emit(object, false, 3, 4);
  await sleep(20);
  assert.deepEqual(batches, []);
  assert.equal(ring.consume(), 2);
  assert.deepEqual(batches, [['abc', 'abcd']]);
  assert.equal(ring.consume(), 0);
  assert.equal(batches.length, 1);
});

test('a full ring comes whole', { skip }, async (context) => {
  const { object, batches } = openRing(context);
  const program = object.program('emit_loud');
  const { retval } = program.testRun({ data: new Uint8Array(63), repeat: 5000 });
  assert.equal(retval | 0, -1, 'the ring of 64 KiB is full');
  await sleep(50);
  const records = batches.flat();
  assert.equal(records.length, Math.floor(65536 / 24));
  assert.ok(records.every((record) => record === TEXT.slice(0, 15)));
});

test('close() may be called twice, and in the callback', { skip }, async (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  let calls = 0;
  const ring = binding.openRingBuffer(object.map('records'), () => {
    calls++;
    ring.close();
  });
  emit(object, true, 1);
  await sleep(20);
  emit(object, true, 1);
  await sleep(20);
  assert.equal(calls, 1);
  ring.close();
  assert.throws(() => ring.consume(), refusal({ code: 'EBADF' }));
});

test('the ring goes on when its object is closed', { skip }, async (context) => {
  const { object, ring, batches } = openRing(context);
  emit(object, false, 2);
  object.close();
  assert.equal(ring.consume(), 1);
  assert.deepEqual(batches, [['ab']]);
});

test('what a callback throws: from consume() there, else uncaught', { skip }, async (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  const ring = binding.openRingBuffer(object.map('records'), () => {
    throw new Error('by the callback');
  });
  emit(object, false, 1);
  assert.throws(() => ring.consume(), /by the callback/);
  ring.close();

  const script = `
    const addon = require(process.argv[1]);
    const object = addon.openObject(process.argv[2]);
    object.load();
    const ring = addon.openRingBuffer(object.map('records'), () => { throw new Error('later'); });
    process.on('uncaughtException', (error) => console.log('caught', error.message));
    const emit = () => object.program('emit_loud').testRun({ data: new Uint8Array(50) });
    emit();
    setTimeout(emit, 50);
    setTimeout(() => ring.close(), 100);`;
  const run = runScript(script, compileFixture(context, 'native'));
  assert.equal(run.stderr, '');
  assert.equal(run.stdout, 'caught later\ncaught later\n');
  assert.equal(run.status, 0);
});

test('an open ring does not keep the process, and dies with it', { skip }, (context) => {
  const script = `
    const addon = require(process.argv[1]);
    const object = addon.openObject(process.argv[2]);
    object.load();
    addon.openRingBuffer(object.map('records'), () => console.log('delivered'));
    object.program('emit_loud').testRun({ data: new Uint8Array(50) });
    globalThis.gc?.();
    setTimeout(() => {}, 50);`;
  const run = runScript(script, compileFixture(context, 'native'));
  assert.equal(run.stderr, '');
  assert.equal(run.stdout, 'delivered\n');
  assert.equal(run.status, 0);
});

test('a ring is a ring: other maps are refused', { skip }, (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  assert.throws(
    () => binding.openRingBuffer(object.map('sums'), () => {}),
    refusal({ code: 'EINVAL', syscall: 'ring_buffer__new' }),
  );
  assert.throws(
    () => binding.openRingBuffer({} as unknown as ReturnType<BpfObject['map']>, () => {}),
    /BpfMap expected/,
  );
});

function runScript(
  script: string,
  object: string,
): { stdout: string; stderr: string; status: number | null } {
  const addon = join(repositoryRoot(), 'build/Release/podwire.node');
  return spawnSync(process.execPath, ['--expose-gc', '-e', script, addon, object], {
    encoding: 'utf8',
    timeout: 20_000,
  });
}
