/** Hosts with ports as text. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostPort } from '../../../src/model/host-port.ts';

test('authorities have brackets around IPv6 and nothing else', () => {
  assert.equal(hostPort('10.0.0.1', 1), '10.0.0.1:1');
  assert.equal(hostPort('fd00::1', 65535), '[fd00::1]:65535');
  assert.equal(hostPort('db.example.com', 5432), 'db.example.com:5432');
});
