/**
 * What the demo needs, looked at before anything is made: one message for all that is missing.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { PodwireError } from '../../src/errors.ts';
import { repositoryRoot } from '../support/repository.ts';

const PROGRAMS = ['ip', 'nsenter', 'setpriv', 'taskset', 'bpftool'];
const BUILT = [
  'dist/src/main.js',
  'build/Release/podwire.node',
  'bpf/.output/mesh.bpf.o',
  'test/c/.output/demo-client',
  'test/c/.output/demo-server',
];

/** Throws PodwireError ERR_NOT_ROOT or ERR_ADDON_MISSING. */
export function requireSetup(environment: NodeJS.ProcessEnv): void {
  if (process.geteuid?.() !== 0) {
    throw new PodwireError(
      'ERR_NOT_ROOT',
      'the demo makes network namespaces and loads BPF programs',
      { hint: 'run it as root: sudo npm run demo' },
    );
  }
  const folders = (environment['PATH'] ?? '').split(delimiter);
  const missing = [
    ...PROGRAMS.filter((name) => !folders.some((folder) => isProgram(join(folder, name)))),
    ...BUILT.filter((path) => !existsSync(join(repositoryRoot(), path))),
  ];
  if (missing.length > 0) {
    throw new PodwireError('ERR_ADDON_MISSING', `the demo needs ${missing.join(', ')}`, {
      hint: 'npm run demo installs and builds what is missing, then starts',
    });
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
