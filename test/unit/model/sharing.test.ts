import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sharing } from '../../../src/model/sharing.ts';

test('equal values become one object, different ones never', () => {
  const shared = new Sharing();
  const services = (targetPort: number) =>
    new Map([
      ['a/x', [{ servicePort: 80, targetPort }]],
      ['a/y', []],
    ]);
  const first = shared.services(services(8080));
  assert.equal(shared.services(services(8080)), first);
  assert.deepEqual(first, services(8080));
  assert.notEqual(shared.services(services(8081)), first);
  assert.equal(shared.texts(['a', 'b']), shared.texts(['a', 'b']));
  assert.notDeepEqual(shared.texts(['a', 'b']), shared.texts(['b', 'a']));
  assert.equal(shared.texts([]), shared.texts([]));
  assert.equal(shared.text('web'), 'web');
});

test('ports of one Service are not taken for those of the next', () => {
  const shared = new Sharing();
  const port = { servicePort: 80, targetPort: 1 };
  const a = new Map([
    ['a', [port]],
    ['b', []],
  ]);
  const b = new Map([
    ['a', []],
    ['b', [port]],
  ]);
  assert.deepEqual(shared.services(a), a);
  assert.deepEqual(shared.services(b), b);
});
