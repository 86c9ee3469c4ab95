import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import fc from 'fast-check';
import { argvHash, argvText } from '../../../src/agent/learn/argv.ts';
import { readElf } from '../../../src/agent/learn/elf.ts';
import type { ReadRange } from '../../../src/agent/learn/elf.ts';
import { ExecutableInspector } from '../../../src/agent/learn/executable.ts';
import { isInterpreter } from '../../../src/agent/learn/interpreters.ts';
import { kernelDevice, Processes } from '../../../src/agent/learn/processes.ts';

function reader(bytes: Buffer): ReadRange {
  return (offset, length) =>
    offset + length <= bytes.length ? bytes.subarray(offset, offset + length) : undefined;
}

function compile(context: TestContext, source: string, ...flags: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-elf-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'program');
  const { status, stderr } = spawnSync('cc', ['-x', 'c', '-o', path, ...flags, '-'], {
    input: source,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return path;
}

const CALLS_SPLICE = `#define _GNU_SOURCE
#include <fcntl.h>
int main(void) { return splice(0, 0, 1, 0, 1, 0); }`;
const CALLS_VMSPLICE = `#define _GNU_SOURCE
#include <fcntl.h>
int main(void) { return vmsplice(0, 0, 1, 0); }`;

test('an imported splice is found by its symbol', (context) => {
  const facts = readElf(reader(readFileSync(compile(context, CALLS_SPLICE, '-Wl,--build-id'))));
  assert.equal(facts?.importsSplice, true);
  assert.equal(facts.go, false);
  assert.match(facts.buildId, /^[0-9a-f]{40}$/);
});

test('a stripped import is found, a name that only ends like it is not', (context) => {
  const stripped = readElf(reader(readFileSync(compile(context, CALLS_SPLICE, '-s'))));
  assert.equal(stripped?.importsSplice, true);
  const vmsplice = readElf(reader(readFileSync(compile(context, CALLS_VMSPLICE))));
  assert.equal(vmsplice?.importsSplice, false);
});

test('damaged ELF files are refused, never misread', (context) => {
  const bytes = readFileSync(compile(context, CALLS_SPLICE));
  const change = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 32 }),
      fc.nat({ max: bytes.length }),
      (edits, end) => {
        const damaged = Buffer.from(bytes.subarray(0, end));
        for (const [at, value] of edits) if (at < end) damaged[at] = value;
        for (const [at, value] of edits) if (at % 64 < end) damaged[at % 64] = value;
        const facts = readElf(reader(damaged));
        assert.ok(facts === undefined || typeof facts.importsSplice === 'boolean');
      },
    ),
    { numRuns: 300 },
  );
});

for (const name of [
  'python3',
  'python3.11',
  'node',
  'php-fpm8.2',
  'ruby2.7',
  'sh',
  'busybox',
  'R',
]) {
  test(`${name} is an interpreter`, () => assert.equal(isInterpreter(name), true));
}
for (const name of ['nginx', 'redis-server', 'nodeagent', 'shadow', 'pythonic', 'javac-server']) {
  test(`${name} is no interpreter`, () => assert.equal(isInterpreter(name), false));
}

test('the running file is inspected, and only if it is the expected one', async () => {
  const processes = new Processes();
  const inspector = new ExecutableInspector({ processes });
  const own = processes.executableId(process.pid);
  assert.ok(own);
  const id = { ...own, argv: processes.argvHash(process.pid)! };
  const inspection = await inspector.inspect(process.pid, id);
  assert.ok(inspection.ok);
  assert.ok(inspection.argv.includes('test'), `${inspection.argv} of ${process.argv.join(' ')}`);
  const another = await inspector.inspect(process.pid, { ...id, argv: 1n });
  assert.equal(another.ok && another.argv, '', 'not those of another program');
  assert.equal(inspection.executable.path, processes.executablePath(process.pid));
  assert.equal(inspection.executable.interpreter, true);
  const other = await inspector.inspect(process.pid, { ...id, inode: id.inode + 1n });
  assert.deepEqual(other.ok ? '' : other.error, `process ${process.pid} runs another file by now`);
  const gone = await inspector.inspect(2 ** 22 + 1, id);
  assert.equal(gone.ok, false);
});

test('a file that is no ELF is scanned', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'podwire-proc-'));
  context.after(() => rmSync(root, { recursive: true }));
  const file = join(root, 'tool');
  writeFileSync(file, Buffer.concat([Buffer.alloc(1_048_570), Buffer.from('\0splice\0')]));
  mkdirSync(join(root, '7'));
  symlinkSync(file, join(root, '7', 'exe'));
  const processes = new Processes({ root });
  const opened = processes.openExecutable(7);
  assert.ok(opened);
  const inspection = await new ExecutableInspector({ processes }).inspect(7, {
    ...opened.id,
    argv: 0n,
  });
  assert.ok(inspection.ok);
  assert.equal(inspection.executable.importsSplice, true); // it crosses a chunk's end
  assert.match(inspection.executable.fingerprint, /^sha256:[0-9a-f]{64}:1048578$/);
});

test('threads in system calls, io_uring and gone processes', (context) => {
  const root = mkdtempSync(join(tmpdir(), 'podwire-proc-'));
  context.after(() => rmSync(root, { recursive: true }));
  for (const [thread, line] of [
    ['9', '275 0x5 0x0 0x4 0x0 0x10000 0x0 0x7ffc 0x7f1'],
    ['10', 'running\n'],
    ['11', '45 0xffffffff00000007 0x1 0x2 0x0 0x0 0x0 0x7ffc 0x7f1'],
    ['12', '-1 0x7ffc 0x7f1'],
  ] as const) {
    mkdirSync(join(root, '9', 'task', thread), { recursive: true });
    writeFileSync(join(root, '9', 'task', thread, 'syscall'), line);
  }
  mkdirSync(join(root, '9', 'fd'));
  symlinkSync('socket:[12]', join(root, '9', 'fd', '3'));
  const processes = new Processes({ root });
  assert.deepEqual(
    processes.calls(9).toSorted((a, b) => a.number - b.number),
    [
      { number: 45, firstArgument: 7 },
      { number: 275, firstArgument: 5 },
    ],
  );
  assert.equal(processes.usesIoUring(9), false);
  symlinkSync('anon_inode:[io_uring]', join(root, '9', 'fd', '4'));
  assert.equal(processes.usesIoUring(9), true);
  assert.deepEqual(processes.calls(8), []);
  assert.equal(processes.executableId(8), undefined);
});

test('device numbers in the encoding of the kernel', () => {
  assert.equal(kernelDevice(0x801n), (8 << 20) | 1);
  assert.equal(kernelDevice((3n << 20n) | (1n << 8n) | 5n), (1 << 20) | (3 << 8) | 5);
});

test('arguments differ within the first 128 bytes only', () => {
  const a = argvHash(Buffer.from('python3\0a.py\0'));
  assert.notEqual(a, argvHash(Buffer.from('python3\0b.py\0')));
  assert.equal(argvHash(Buffer.alloc(128, 1)), argvHash(Buffer.alloc(200, 1)));
});

test('arguments are shown as far as they tell programs apart, and steer no terminal', () => {
  assert.equal(argvText(Buffer.from('python3\0-u\0a b.py\0')), '-u a b.py');
  assert.equal(argvText(Buffer.from('python3\0')), '');
  assert.equal(argvText(Buffer.from('sh\0-c\0\u001b[2J\n')), '-c ?[2J?');
  assert.equal(argvText(Buffer.from(`node\0${'x'.repeat(200)}\0`)), `${'x'.repeat(123)}…`);
});
