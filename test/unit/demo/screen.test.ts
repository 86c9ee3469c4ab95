/** How the demo's output looks in a terminal and in a file. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Screen, wrap } from '../../demo/screen.ts';

function record(terminal: boolean, width = 40): { screen: Screen; text: () => string } {
  let text = '';
  const write = (part: string): void => {
    text += part;
  };
  const screen = new Screen({ write, terminal, colours: terminal, width });
  return { screen, text: () => text };
}

test('a file gets numbered headings, aligned facts and every progress', () => {
  const { screen, text } = record(false);
  screen.heading('First');
  screen.progress('working');
  screen.fact('path', 'a value that is longer than the width that only terminals have', 'good');
  screen.heading('Second');
  assert.equal(
    text(),
    [
      '',
      '1. First',
      '   ... working',
      '   path              a value that is longer than the width that only terminals have',
      '',
      '2. Second',
      '',
    ].join('\n'),
  );
});

test('in a terminal progress is written over, facts are painted and wrapped', () => {
  const { screen, text } = record(true);
  screen.progress('a very long line of progress that would not fit');
  screen.fact('path', 'one two three four five', 'bad');
  const [, progress, fact] = text().split('\r');
  assert.equal(progress, '\u001b[2K\u001b[2m   ... a very long line of progress tha\u001b[0m');
  assert.equal(
    fact,
    '\u001b[2K   \u001b[2mpath              \u001b[0m\u001b[31mone two three four\u001b[0m\n' +
      '   \u001b[2m                  \u001b[0m\u001b[31mfive\u001b[0m\n',
  );
});

test('progress is taken away once', () => {
  const { screen, text } = record(true);
  screen.progress('working');
  screen.clear();
  const before = text();
  screen.clear();
  assert.equal(text(), before);
  assert.ok(before.endsWith('\r\u001b[2K'));
});

test('tables are indented and their rows painted by what they mean', () => {
  const { screen, text } = record(true);
  const columns = [{ head: 'PATH', cell: (path: string) => path }];
  screen.table(columns, ['plain', 'spliced'], (path) => (path === 'spliced' ? 'good' : 'neutral'));
  assert.equal(text(), '   \u001b[2mPATH\u001b[0m\n   plain\n   \u001b[32mspliced\u001b[0m\n');
});

test('wrap keeps words whole', () => {
  assert.deepEqual(wrap('aa bb cc', 5), ['aa bb', 'cc']);
  assert.deepEqual(wrap('longerthanroom b', 5), ['longerthanroom', 'b']);
  assert.deepEqual(wrap('aa  bb', 4), ['aa', 'bb']);
  assert.deepEqual(wrap('', 5), ['']);
});
