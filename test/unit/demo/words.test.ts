/** The demo's measurements as words, and what its client says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAnswer, parseEnds, parseExchanges, valueOf } from '../../demo/pods.ts';
import {
  countByFolder,
  describeExchanges,
  describePath,
  describeRoundTrip,
  groupDigits,
  pickFields,
  range,
  ratio,
  seconds,
  shortIdentity,
} from '../../demo/words.ts';

const plain = { us: 8, exchanges: 12_345, packets: 24_692 };
const spliced = { us: 4.56, exchanges: 1_000, packets: 4 };

test('measurements', () => {
  assert.equal(
    describeRoundTrip(plain),
    '8.0 µs, median of 12,345; 2.0 packets on the bridge each',
  );
  assert.equal(
    describeRoundTrip(spliced),
    '4.6 µs, median of 1,000; 0.0 packets on the bridge each',
  );
  assert.equal(ratio(spliced, plain), '0.57 ×');
  assert.equal(
    describeExchanges({ count: 7, us: 1_550 }),
    '7 messages more, the slowest took 1.6 ms',
  );
});

test('numbers', () => {
  assert.deepEqual([0, 999, 1_000, 1_234_567].map(groupDigits), ['0', '999', '1,000', '1,234,567']);
  assert.deepEqual([42.4, 999, 1_240].map(seconds), ['42 ms', '999 ms', '1.2 s']);
  assert.equal(range(1, 1), '1');
  assert.equal(range(1, 4), '1-4');
});

test('views', () => {
  assert.equal(describePath({ path: 'spliced', reason: '' }), 'spliced');
  assert.equal(
    describePath({ path: 'plain', reason: 'learning-client' }),
    'plain, learning-client',
  );
  assert.equal(shortIdentity('spiffe://cluster.local/ns/demo/sa/client'), 'ns/demo/sa/client');
  assert.equal(shortIdentity(''), 'none');
  assert.equal(
    countByFolder(['/b/gen-1-x/maps/a', '/b/gen-1-x/maps/b', '/b/links/c', '/b/pods/1', '/b/pods']),
    '2 maps, 2 hooks, 1 folders and other files',
  );
  assert.equal(pickFields({ msg: 'm', a: 1, c: undefined }, ['a', 'msg', 'c', 'd']), 'a=1  msg=m');
});

test('answers of the client', () => {
  assert.deepEqual(parseAnswer('ok 10.0.0.2:7000 10.0.0.1:4321', parseEnds), {
    ok: true,
    value: { peer: '10.0.0.2:7000', local: '10.0.0.1:4321' },
  });
  assert.deepEqual(parseAnswer('ok 12 4.50', parseExchanges), {
    ok: true,
    value: { count: 12, us: 4.5 },
  });
  const refused = parseAnswer('error Connection refused', parseEnds);
  assert.deepEqual(refused, { ok: false, error: 'Connection refused' });
  assert.throws(() => valueOf('connection A', refused), /connection A: Connection refused/);
  assert.throws(() => parseAnswer('what', parseEnds), /the client said "what"/);
});
