/** An executable for the tests of learning. */
import type { Executable } from '../../../src/agent/learn/executable.ts';

export const NGINX: Executable = {
  path: '/usr/sbin/nginx',
  name: 'nginx',
  fingerprint: 'build-id:aa',
  interpreter: false,
  go: false,
  importsSplice: false,
};
