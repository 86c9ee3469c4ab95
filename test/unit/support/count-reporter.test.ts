import assert from 'node:assert/strict';
import { test } from 'node:test';
import countReporter, { countEvent, type TestEvent } from '../../support/count-reporter.ts';

const cases: readonly { name: string; event: TestEvent; line: string }[] = [
  { name: 'a pass', event: pass({ name: 'a' }), line: 'pass a\n' },
  { name: 'a failure', event: { type: 'test:fail', data: { name: 'a' } }, line: 'fail a\n' },
  { name: 'a skip', event: pass({ name: 'a', skip: true }), line: 'skip a\n' },
  { name: 'a skip with an empty reason', event: pass({ name: 'a', skip: '' }), line: 'skip a\n' },
  {
    name: 'a to-do that fails',
    event: { type: 'test:fail', data: { name: 'a', todo: 'later' } },
    line: 'skip a\n',
  },
  { name: 'a suite', event: pass({ name: 'a', details: { type: 'suite' } }), line: '' },
  {
    name: 'a suite skipped as a whole',
    event: pass({ name: 'a', skip: 'no root', details: { type: 'suite' } }),
    line: 'skip a\n',
  },
  { name: 'a name of two lines', event: pass({ name: 'a\npass b' }), line: 'pass a pass b\n' },
  { name: 'other events', event: { type: 'test:start', data: { name: 'a' } }, line: '' },
];

for (const { name, event, line } of cases) {
  test(`${name} counts as ${JSON.stringify(line)}`, () => assert.equal(countEvent(event), line));
}

test('the reporter writes a line as each event comes', async () => {
  const lines: string[] = [];
  for await (const line of countReporter(events())) lines.push(line);
  assert.equal(lines.join(''), 'pass a\nfail b\n');
});

function pass(data: object): TestEvent {
  return { type: 'test:pass', data };
}

async function* events(): AsyncGenerator<TestEvent> {
  yield pass({ name: 'a' });
  yield { type: 'test:fail', data: { name: 'b' } };
}
