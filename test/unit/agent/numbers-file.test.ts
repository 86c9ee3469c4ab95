/** The number tables on disk: what is loaded is what was saved last, whatever was cut off. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { NumbersFile } from '../../../src/agent/numbers-file.ts';
import {
  allocated,
  allocators,
  emptyNumbers,
  numbersToJson,
  type Numbers,
} from '../../../src/compile/kernel/numbers.ts';
import { pruneNumbers } from '../../../src/compile/kernel/number-table.ts';

const BOOT = 'boot-1';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function withNames(numbers: Numbers, ...names: readonly string[]): Numbers {
  const all = allocators(numbers);
  for (const name of names) {
    all.identities.number(name);
    all.backends.number(`${name}|80`);
  }
  return allocated(all, numbers);
}

function loaded(folder: string, boot = BOOT): unknown {
  const saved = new NumbersFile(folder, boot).load();
  return saved && { numbers: numbersToJson(saved.numbers), since: saved.since };
}

function journals(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
}

test('any series of additions and prunings is loaded as it was saved last', (t) => {
  const folder = folderOf(t);
  const step = fc.oneof(
    fc.record({ add: fc.array(fc.string({ maxLength: 3 }), { maxLength: 4 }) }),
    fc.record({ drop: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const file = new NumbersFile(folder, BOOT);
      let numbers = emptyNumbers();
      for (const one of steps) {
        if ('add' in one) numbers = withNames(numbers, ...one.add);
        else {
          const identities = pruneNumbers(numbers.identities, (_, n) => n % one.drop !== 0);
          numbers = { ...numbers, identities };
        }
        file.save({ numbers, since: 4 });
        assert.deepEqual(loaded(folder), { numbers: numbersToJson(numbers), since: 4 });
      }
    }),
  );
});

test('an addition is one line, however many numbers there are', (t) => {
  const folder = folderOf(t);
  const file = new NumbersFile(folder, BOOT);
  const many = withNames(emptyNumbers(), ...Array.from({ length: 10_000 }, (_, i) => `id-${i}`));
  file.save({ numbers: many, since: 1 });
  const whole = statSync(join(folder, 'numbers.json')).mtimeMs;
  const more = withNames(many, 'one-more');
  file.save({ numbers: more, since: 1 });
  const [journal] = journals(folder);
  assert.ok(readFileSync(join(folder, journal!)).length < 300);
  assert.equal(statSync(join(folder, 'numbers.json')).mtimeMs, whole);
  assert.deepEqual(loaded(folder), { numbers: numbersToJson(more), since: 1 });
});

test('a journal that outgrew the tables becomes part of them', (t) => {
  const folder = folderOf(t);
  const file = new NumbersFile(folder, BOOT);
  let numbers = emptyNumbers();
  let longest = 0;
  for (let i = 0; i < 2_000; i++) {
    numbers = withNames(numbers, `spiffe://cluster.local/ns/team/sa/account-${i}`);
    file.save({ numbers, since: 1 });
    for (const name of journals(folder)) {
      longest = Math.max(longest, statSync(join(folder, name)).size);
    }
  }
  assert.ok(journals(folder).length <= 1);
  assert.ok(longest < 400_000, `${longest} bytes`);
  assert.deepEqual(loaded(folder), { numbers: numbersToJson(numbers), since: 1 });
});

test('a last line that was cut off was never applied; damage before it makes all of it unusable', (t) => {
  const folder = folderOf(t);
  const file = new NumbersFile(folder, BOOT);
  const first = withNames(emptyNumbers(), 'a');
  const second = withNames(first, 'b');
  file.save({ numbers: first, since: 1 });
  file.save({ numbers: second, since: 1 });
  const journal = join(folder, journals(folder)[0]!);
  appendFileSync(journal, '{"version":1,"tables":{"ident');
  assert.deepEqual(loaded(folder), { numbers: numbersToJson(second), since: 1 });
  appendFileSync(journal, '\n');
  assert.equal(loaded(folder), undefined);
  writeFileSync(journal, readFileSync(journal, 'utf8').split('\n').slice(0, 1).join('\n'));
  assert.deepEqual(loaded(folder), { numbers: numbersToJson(first), since: 1 });
});

test('tables without a journal, as earlier agents wrote them, are read; they would not read these', (t) => {
  const folder = folderOf(t);
  const numbers = withNames(emptyNumbers(), 'a', 'b');
  const json = numbersToJson(numbers) as { version: number };
  assert.notEqual(json.version, 1);
  const old = { bootId: BOOT, since: 3, numbers: { ...json, version: 1 } };
  writeFileSync(join(folder, 'numbers.json'), JSON.stringify(old));
  assert.deepEqual(loaded(folder), { numbers: json, since: 3 });
});

test('numbers of another boot, and no file at all, are none', (t) => {
  const folder = folderOf(t);
  assert.equal(loaded(folder), undefined);
  new NumbersFile(folder, BOOT).save({ numbers: withNames(emptyNumbers(), 'a'), since: 1 });
  assert.equal(loaded(folder, 'boot-2'), undefined);
});
