/** One value per kind of connection, for as long as the names behind the numbers are the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlowKinds } from '../../../src/agent/flow-kinds.ts';
import { FlowEvent } from '../../../src/kernel/abi/layout.gen.ts';
import { FlowRecord } from '../../../src/kernel/flow-record.ts';
import { event } from '../kernel/flow-event.ts';

function setUp() {
  const made: string[] = [];
  const validity: [object, number] = [{}, 0];
  const kinds = new FlowKinds({
    validity: () => [validity[0], validity[1]],
    make({ sourcePod, key }, generation) {
      made.push(`${sourcePod}:${key.localPort} of ${generation}`);
      return made.at(-1)!;
    },
  });
  const record = new FlowRecord();
  return {
    made,
    validity,
    of: (more: Partial<FlowEvent> = {}, generation = 1): string => {
      record.read(new DataView(FlowEvent.encode(event(more)).buffer), 0);
      return kinds.of(record, generation);
    },
  };
}

test('a kind is made once', () => {
  const { of, made } = setUp();
  assert.equal(of(), '1:40000 of 1');
  assert.equal(of({ cookie: 9n, clientSent: 3n }), '1:40000 of 1');
  assert.equal(of({ sourcePod: 2 }), '2:40000 of 1');
  assert.equal(of(), '1:40000 of 1');
  assert.equal(made.length, 2);
});

test('generations number differently', () => {
  const { of } = setUp();
  assert.equal(of({}, 1), '1:40000 of 1');
  assert.equal(of({}, 2), '1:40000 of 2');
});

for (const [name, change] of [
  ['mesh', 0],
  ['pods', 1],
] as const) {
  test(`nothing is kept when the ${name} changed`, () => {
    const { of, made, validity } = setUp();
    of();
    if (change === 0) validity[0] = {};
    else validity[1]++;
    of();
    of();
    assert.equal(made.length, 2);
  });
}

test('memory is bounded when every client has another address', () => {
  const { of, made } = setUp();
  const scan = (): void => {
    for (let i = 0; i < 5000; i++) of({ sourcePod: i });
  };
  scan();
  assert.equal(made.length, 5000);
  of({ sourcePod: 4999 });
  assert.equal(made.length, 5000);
  of({ sourcePod: 0 });
  assert.equal(made.length, 5001);
});
