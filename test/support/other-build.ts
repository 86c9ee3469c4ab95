/**
 * A second build of podwire in a folder of its own, with another layout of the structs that live in maps and socket
 * storages: what the next version of the agent will be to this one.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { repositoryRoot } from './repository.ts';

/** A field in the middle: everything behind it moves. */
const CHANGES = [
  ['#define PODWIRE_ABI_VERSION 3', '#define PODWIRE_ABI_VERSION 4'],
  [
    '\t__u64 born_ns;\n\tstruct trust_key client_trust;',
    '\t__u64 born_ns;\n\t__u64 extra;\n\tstruct trust_key client_trust;',
  ],
  [
    '\t__u64 born_ns;\n\tstruct trust_key trust; /*',
    '\t__u64 born_ns;\n\t__u64 extra;\n\tstruct trust_key trust; /*',
  ],
] as const;

function run(folder: string, program: string, args: readonly string[]): void {
  const done = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
  if (done.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: ${done.stdout}${done.stderr}`);
  }
}

/** A copy in `folder`, with the native addon of this one and without anything built from sources. */
export function copyTree(folder: string): void {
  const root = repositoryRoot();
  mkdirSync(folder);
  const built = new Set([join(root, 'bpf/.output')]);
  for (const name of ['bpf', 'src', 'package.json', 'tsconfig.json']) {
    const filter = (path: string): boolean => !built.has(path);
    cpSync(join(root, name), join(folder, name), { recursive: true, filter });
  }
  for (const name of ['node_modules', 'build']) symlinkSync(join(root, name), join(folder, name));
}

/** Its main.js. */
export function buildOtherLayout(folder: string): string {
  copyTree(folder);
  const header = join(folder, 'bpf/abi.h');
  let text = readFileSync(header, 'utf8');
  for (const [from, to] of CHANGES) {
    if (!text.includes(from)) throw new Error(`bpf/abi.h has no "${from}" any more`);
    text = text.replace(from, to);
  }
  writeFileSync(header, text);
  mkdirSync(join(folder, 'bpf/.output'));
  const types = 'bpf/.output/vmlinux.h';
  cpSync(join(repositoryRoot(), types), join(folder, types), { preserveTimestamps: true });
  run(folder, 'make', ['-s', '-j2', '-C', 'bpf']);
  run(folder, process.execPath, ['--import', 'tsx', 'src/kernel/abi/generate.ts']);
  /* this build has checked the types, and the bench's sources are not here */
  run(folder, 'node_modules/.bin/tsc', ['-p', 'tsconfig.json', '--noCheck']);
  return join(folder, 'dist/src/main.js');
}
