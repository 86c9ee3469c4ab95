import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAge,
  formatBytes,
  formatDuration,
  render,
  renderFacts,
  renderTable,
} from '../../../src/cli/output.ts';

for (const [bytes, text] of [
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0KiB'],
  [10 * 1024, '10KiB'],
  [1_500_000, '1.4MiB'],
  [5 * 1024 ** 4, '5.0TiB'],
  [9999 * 1024 ** 4, '9999TiB'],
] as const) {
  test(`${bytes} bytes are ${text}`, () => {
    assert.equal(formatBytes(bytes), text);
  });
}

for (const [ms, text] of [
  [-5, '0ms'],
  [12.4, '12ms'],
  [1_999, '1s'],
  [192_000, '3m12s'],
  [7_500_000, '2h5m'],
  [4 * 86_400_000 + 3 * 3_600_000, '4d3h'],
] as const) {
  test(`${ms} ms are ${text}`, () => {
    assert.equal(formatDuration(ms), text);
  });
}

test('an age is counted from an ISO date, and what is none is a dash', () => {
  assert.equal(formatAge('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:01:01Z')), '1m1s');
  assert.equal(formatAge(''), '-');
});

const COLUMNS = [
  { head: 'NAME', cell: ({ name }: { name: string; n: number }) => name },
  { head: 'N', cell: ({ n }: { name: string; n: number }) => n, align: 'right' as const },
];

test('a table is aligned, without a frame and without trailing blanks', () => {
  const rows = [
    { name: 'a', n: 1 },
    { name: 'longer', n: 100 },
  ];
  assert.equal(renderTable(COLUMNS, rows, 'none'), 'NAME      N\na         1\nlonger  100');
});

test('a table without rows says what is not there; an empty cell is a dash', () => {
  assert.equal(renderTable(COLUMNS, [], 'no things'), 'no things');
  assert.match(renderTable(COLUMNS, [{ name: '', n: 1 }], ''), /\n- /);
});

test('control characters do not reach the terminal', () => {
  const text = renderTable(COLUMNS, [{ name: '\u001b[2J\u0007\u009bx\ny', n: 1 }], '');
  assert.match(text, /\?\[2J\?\?x\?y/);
  assert.equal(renderFacts([['a', 'b\u001b']]), 'a  b?');
});

test('formats differ in form only', () => {
  const data = { a: [1, 'x: y'] };
  assert.deepEqual(JSON.parse(render('json', data, () => '')), data);
  assert.equal(
    render('yaml', data, () => ''),
    'a:\n  - 1\n  - "x: y"',
  );
  assert.equal(
    render('table', data, () => 'T'),
    'T',
  );
});
