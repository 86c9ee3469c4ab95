import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import {
  describeError,
  ERROR_CODES,
  type ErrorCode,
  exitCodeOf,
  PodwireError,
} from '../../src/errors.ts';

suite('errors', () => {
  test('every code has a sentence and an exit code', () => {
    for (const [code, { meaning, exitCode }] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^ERR_[A-Z0-9]+(_[A-Z0-9]+)*$/);
      assert.match(meaning, /^[A-Z].*\.$/, code);
      assert.ok([1, 2, 3, 4].includes(exitCode), code);
    }
  });

  const exits: [ErrorCode, number][] = [
    ['ERR_INTERNAL', 1],
    ['ERR_BAD_OPTION', 2],
    ['ERR_NOT_ROOT', 3],
    ['ERR_LOCKED', 4],
  ];
  for (const [code, exitCode] of exits) {
    test(`${code} exits with ${exitCode}`, () => {
      assert.equal(exitCodeOf(new PodwireError(code, 'x')), exitCode);
    });
  }

  test('what is no PodwireError exits with 1', () => {
    assert.equal(exitCodeOf(new TypeError('x')), 1);
    assert.equal(exitCodeOf(undefined), 1);
  });

  test('carries code, cause and hint', () => {
    const cause = new Error('EPERM');
    const error = new PodwireError('ERR_NOT_ROOT', 'bpf() failed', { cause, hint: 'use sudo' });
    assert.ok(error instanceof Error);
    assert.equal(error.name, 'PodwireError');
    assert.equal(error.code, 'ERR_NOT_ROOT');
    assert.equal(error.cause, cause);
    assert.equal(error.hint, 'use sudo');
    assert.ok(!('cause' in new PodwireError('ERR_CONFIG', 'x')));
  });

  test('a description shows code, causes and the nearest hint', () => {
    const error = new PodwireError('ERR_CONFIG', 'cannot start', {
      cause: new PodwireError('ERR_NETNS', 'no namespace a', {
        cause: new Error('ENOENT'),
        hint: 'ip netns add a',
      }),
    });
    assert.equal(
      describeError(error),
      'cannot start [ERR_CONFIG]\n' +
        '  because: no namespace a [ERR_NETNS]\n' +
        '  because: ENOENT\n' +
        '  try: ip netns add a',
    );
    assert.equal(describeError('text'), 'text');
  });

  test('a cycle of causes ends', () => {
    const error = new Error('round');
    error.cause = error;
    assert.equal(describeError(error).split('\n').length, 8);
  });
});
