/**
 * One file's text is cut into documents as YAML 1.2.2 9.1 says, and each knows the line it starts on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseText, splitDocuments } from '../../../src/control/sources/file/documents.ts';

/** Line by line, as the rule reads. */
function slowly(text: string): { text: string; line: number }[] {
  const found = [{ text: '', line: 1 }];
  text.split(/(?<=\n)/).forEach((line, index) => {
    if (/^---(\s|$)/.test(line)) found.push({ text: line.slice(3), line: index + 1 });
    else found.at(-1)!.text += line;
  });
  return found.filter((one) => one.text.split('\n').some((line) => /^[ \t]*[^#\s]/.test(line)));
}

test('documents and their lines', () => {
  const piece = fc.constantFrom('---', '----', '--', '\n', ' ', '\t', '#', 'a: 1', '- b', '\r\n');
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
      (text) => {
        const found = splitDocuments(text).map((one) => ({ text: one.text, line: one.line() }));
        assert.deepEqual(found, slowly(text));
      },
    ),
    { numRuns: 5_000 },
  );
});

test('an error names the line of the file', () => {
  const [, broken] = splitDocuments('a: 1\n---\nb: 2\nc: [\n');
  const parsed = parseText(broken!);
  assert.match(parsed.ok ? '' : parsed.message, /^line [45]: /);
});
