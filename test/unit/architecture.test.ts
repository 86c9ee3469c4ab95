/**
 * The layering of the code base: the arrows of the README's picture are the only legal imports.
 *
 * oxlint refuses most of this while one types (.oxlintrc.json); this test resolves every path and is the exact word.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { filesUnder, repositoryRoot } from '../support/repository.ts';

interface Import {
  readonly from: string;
  /** a path below the root, or a package or `node:` module */
  readonly to: string;
}

const MAX_LINES = 300;
const COMPOSITION_ROOTS =
  /^src\/(agent\/app|agent\/embedded-control|control\/app|control\/process|main|cli\/.+)\.ts$/;
const ENTRY_POINTS = /^src\/(main|cli\/.+)\.ts$/;

/** What a folder may never import; a folder that is not named here is held back by the rules for all only. */
const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  store: ['agent', 'admin', 'compile', 'control', 'kernel', 'proxy', 'xds'],
  xds: ['agent', 'admin', 'compile', 'control', 'kernel', 'proxy'],
  control: ['agent', 'admin', 'compile', 'kernel', 'proxy', 'store'],
  kernel: ['agent', 'admin', 'control', 'proxy', 'store', 'xds'],
  proxy: ['agent', 'admin', 'control', 'hbone', 'http2', 'kernel', 'store', 'xds'],
  http2: ['agent', 'admin', 'control', 'hbone', 'identity', 'kernel', 'store', 'telemetry', 'xds'],
  hbone: ['agent', 'admin', 'control', 'identity', 'kernel', 'store', 'telemetry', 'xds'],
  identity: ['agent', 'admin', 'control', 'kernel', 'proxy', 'store'],
  telemetry: ['agent', 'admin', 'control', 'xds'],
  config: ['agent', 'admin', 'control', 'kernel', 'proxy', 'store', 'xds'],
  lifecycle: ['agent', 'admin', 'control', 'kernel', 'proxy', 'store', 'xds'],
};

const files = filesUnder('src', '.ts');
const imports = files.flatMap(importsOf);

// node:net has isIP(), which is as pure as a regular expression.
test('model/ imports nothing but itself', () => {
  assertNone(inside('model').filter(({ to }) => folderOf(to) !== 'model' && to !== 'node:net'));
});

test('compile/ imports model/ and itself only', () => {
  assertNone(inside('compile').filter(({ to }) => !['model', 'compile'].includes(folderOf(to))));
});

for (const [folder, forbidden] of Object.entries(FORBIDDEN)) {
  test(`${folder}/ does not import ${forbidden.join(', ')}`, () => {
    assertNone(inside(folder).filter(({ to }) => forbidden.includes(folderOf(to))));
  });
}

test('only composition roots import composition roots', () => {
  assertNone(
    imports.filter(({ from, to }) => COMPOSITION_ROOTS.test(to) && !COMPOSITION_ROOTS.test(from)),
  );
});

test('only entry points import entry points', () => {
  assertNone(imports.filter(({ from, to }) => ENTRY_POINTS.test(to) && !ENTRY_POINTS.test(from)));
});

// `podwire bench` and `podwire demo` are features for users whose code lives with the network namespaces it needs.
const SHIPPED = /^src\/cli\/(bench|demo)\.ts$/;
test('nothing in src/ imports tests, except bench and demo', () => {
  assertNone(
    imports.filter(
      ({ from, to }) =>
        to.startsWith('test/') && !(SHIPPED.test(from) && /^test\/(bench|demo)\//.test(to)),
    ),
  );
});

test('relative imports end in .ts, or .json for data, and lead to a file', () => {
  const root = repositoryRoot();
  const gone = imports.filter(
    ({ to }) => to.startsWith('src/') && !(/\.(ts|json)$/.test(to) && existsSync(join(root, to))),
  );
  assertNone(gone.filter(({ to }) => !to.startsWith('src/xds/gen/')));
});

test(`every file of src/ has at most ${MAX_LINES} lines`, () => {
  const long = files
    .filter((file) => !file.endsWith('.gen.ts'))
    .map((file) => ({ file, lines: read(file).trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES);
  assert.deepEqual(long, []);
});

test('every file of src/ says in its first line why it is there', () => {
  assert.deepEqual(
    files.filter((file) => !/^(#!.*\n)?\/[/*]/.test(read(file))),
    [],
  );
});

test('no file is a drawer for everything', () => {
  const drawer = /^(utils?|helpers?|misc|common)\./;
  const named = [...files, ...filesUnder('test', '.ts')].filter((file) =>
    drawer.test(basename(file)),
  );
  assert.deepEqual(named, []);
});

function read(file: string): string {
  return readFileSync(join(repositoryRoot(), file), 'utf8');
}

function importsOf(file: string): Import[] {
  const statement =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...read(file).matchAll(statement)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const to = specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier;
    return { from: file, to };
  });
}

function inside(folder: string): Import[] {
  return imports.filter(({ from }) => folderOf(from) === folder && !COMPOSITION_ROOTS.test(from));
}

/** `kernel` for src/kernel/abi/btf.ts, the name itself for src/errors.ts and for packages */
function folderOf(path: string): string {
  const [top, second] = path.split('/');
  return top === 'src' && second !== undefined ? second : path;
}

function assertNone(found: readonly Import[]): void {
  assert.deepEqual(
    found.map(({ from, to }) => `${from} → ${to}`),
    [],
  );
}
