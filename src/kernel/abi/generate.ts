/**
 * Script: bpf/.output/abi.bpf.o → layout.gen.ts.  With --check nothing is written: the exit code is 1 when the committed
 * file is not what bpf/abi.h says, so that a layout change shows up in a review in both languages.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Btf } from './btf.ts';
import { emitLayout } from './emit.ts';
import { readSchema } from './schema.ts';

const OBJECT = fileURLToPath(new URL('../../../bpf/.output/abi.bpf.o', import.meta.url));
const LAYOUT = fileURLToPath(new URL('layout.gen.ts', import.meta.url));
const SHOWN_LINES = 20;

function generate(): string {
  return emitLayout(readSchema(Btf.fromElf(read(OBJECT, 'run `make -C bpf` first'))));
}

function read(path: string, hint: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${hint}`, { cause });
  }
}

/** The lines between the common start and the common end of both texts. */
function summarize(committed: string, fresh: string): string {
  const old = committed.split('\n');
  const now = fresh.split('\n');
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start++;
  let tail = 0;
  const room = Math.min(old.length, now.length) - start;
  while (tail < room && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail++;
  return [
    `from line ${start + 1}:`,
    ...mark('-', old.slice(start, old.length - tail)),
    ...mark('+', now.slice(start, now.length - tail)),
  ].join('\n');
}

function mark(sign: string, lines: readonly string[]): string[] {
  const shown = lines.slice(0, SHOWN_LINES).map((line) => `${sign} ${line}`);
  const more = lines.length - shown.length;
  return more > 0 ? [...shown, `${sign} … ${more} more lines`] : shown;
}

const fresh = generate();
if (process.argv.includes('--check')) {
  const committed = read(LAYOUT, 'run `npm run gen:abi`').toString('utf8');
  if (committed !== fresh) {
    console.error(
      `layout.gen.ts differs from bpf/abi.h: run \`npm run gen:abi\`\n${summarize(committed, fresh)}`,
    );
    process.exitCode = 1;
  }
} else {
  writeFileSync(LAYOUT, fresh);
}
