/**
 * What the tests of the addon share: fixtures/*.bpf.c compiled into a temporary folder, a network namespace, a folder on
 * bpffs, workers that load the addon too. All of it goes when the test ends.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Binding, BpfObject, NativeError } from '../../src/kernel/binding.ts';
import { NETNS_FOLDER, command, uniqueName } from '../support/node.ts';
import { repositoryRoot } from '../support/repository.ts';

export const MapType = { HASH: 1, LPM_TRIE: 11, SOCKHASH: 18 } as const;
export const NO_PREALLOC = 1;

/** Path of the compiled test/kernel/fixtures/NAME.bpf.c. */
export function compileFixture(context: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const source = join(repositoryRoot(), 'test/kernel/fixtures', `${name}.bpf.c`);
  const types = join(repositoryRoot(), 'bpf/.output');
  const object = join(folder, `${name}.bpf.o`);
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I${types}`];
  command('clang', [...flags, '-c', source, '-o', object]);
  return object;
}

/** native.bpf.c, open; `prepare` runs before it is loaded. */
export function loadFixture(
  context: TestContext,
  binding: Binding,
  prepare: (object: BpfObject) => void = () => {},
): BpfObject {
  const object = binding.openObject(compileFixture(context, 'native'));
  context.after(() => object.close());
  prepare(object);
  object.load();
  return object;
}

/** Path of a new network namespace with loopback up. */
export function makeNetns(context: TestContext): string {
  const name = `pwt-${uniqueName()}`;
  command('ip', ['netns', 'add', name]);
  context.after(() => command('ip', ['netns', 'del', name]));
  command('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  return join(NETNS_FOLDER, name);
}

/** A folder for pins. */
export function makePinFolder(context: TestContext): string {
  const folder = join('/sys/fs/bpf', `podwire-test-${uniqueName()}`);
  mkdirSync(folder);
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A worker that runs `body` (CommonJS) with `addon` and `data`; its messages and end are the caller's. */
export function startWorker(body: string, data: unknown): Worker {
  const addon = join(repositoryRoot(), 'build/Release/podwire.node');
  const head = `const { parentPort, workerData } = require('node:worker_threads');
    const { addon: path, data } = workerData; const addon = require(path);`;
  return new Worker(head + body, { eval: true, execArgv: [], workerData: { addon, data } });
}

export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** For assert.throws: a NativeError with these properties. */
export function refusal(expected: Partial<NativeError>): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof Error)) throw new Error('not an Error');
    const native = error as NativeError;
    for (const name of ['code', 'errno', 'syscall'] as const) {
      if (expected[name] !== undefined && native[name] !== expected[name]) {
        throw new Error(`${name} is ${native[name]}, not ${expected[name]}: ${native.message}`);
      }
    }
    return typeof native.log === 'string' && native.message.includes(native.syscall);
  };
}

/** `count` packed u32 keys from `first` on. */
export function u32Keys(count: number, first = 0): Uint8Array {
  const keys = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) keys.setUint32(4 * i, first + i, true);
  return new Uint8Array(keys.buffer);
}

/** Packed u64, each `factor` times its index. */
export function u64Values(count: number, factor = 1): Uint8Array {
  const values = new DataView(new ArrayBuffer(8 * count));
  for (let i = 0; i < count; i++) values.setBigUint64(8 * i, BigInt(i * factor), true);
  return new Uint8Array(values.buffer);
}
