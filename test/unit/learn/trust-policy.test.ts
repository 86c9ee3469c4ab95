import assert from 'node:assert/strict';
import { test } from 'node:test';
import { behaviourNames, trustReasonNames } from '../../../src/kernel/abi/layout.gen.ts';
import {
  BEHAVIOUR_NAMES,
  decideTrust,
  DEFAULT_TRUST_LIMITS,
} from '../../../src/agent/learn/trust-policy.ts';
import type { Evidence, TrustDecision } from '../../../src/agent/learn/trust-policy.ts';
import { NGINX } from './executables.ts';

const QUIET: Evidence = {
  executable: NGINX,
  hasArguments: false,
  behaviours: new Set(),
  quietConnections: 3,
  observedMs: 3_000,
};

const OBSERVING: TrustDecision = { state: 'observing' };
const TRUSTED: TrustDecision = { state: 'trusted' };

function denied(reason: string): TrustDecision {
  return { state: 'denied', reason } as TrustDecision;
}

const python = { ...NGINX, name: 'python3.11', interpreter: true, importsSplice: true };
const goProxy = { ...NGINX, name: 'proxy', go: true, importsSplice: true };

const CASES: [string, Partial<Evidence>, TrustDecision][] = [
  ['quiet and watched long enough', {}, TRUSTED],
  ['too few connections', { quietConnections: 2 }, OBSERVING],
  ['not watched long enough', { observedMs: 2_999 }, OBSERVING],
  ['file not read yet', { executable: undefined }, OBSERVING],
  [
    'file not read yet, but seen splicing',
    { executable: undefined, behaviours: new Set(['splice-out'] as const) },
    denied('splice-out'),
  ],
  ['behaviour, though quiet', { behaviours: new Set(['waitall'] as const) }, denied('waitall')],
  [
    'deny list before anything is seen',
    { executable: { ...NGINX, name: 'haproxy' }, quietConnections: 0, observedMs: 0 },
    denied('deny-list'),
  ],
  [
    'imports splice',
    { executable: { ...NGINX, importsSplice: true }, quietConnections: 0 },
    denied('imports-splice'),
  ],
  ['interpreter', { executable: python }, { state: 'interpreter' }],
  [
    'interpreter, whatever one of its programs did',
    { executable: python, behaviours: new Set(['trunc'] as const) },
    { state: 'interpreter' },
  ],
  ["an interpreter's program", { executable: python, hasArguments: true }, TRUSTED],
  [
    "an interpreter's program that splices",
    { executable: python, hasArguments: true, behaviours: new Set(['splice-out'] as const) },
    denied('splice-out'),
  ],
  ['Go with poll.Splice after 3 connections', { executable: goProxy }, OBSERVING],
  [
    'Go with poll.Splice, 20 connections in 9 s',
    { executable: goProxy, quietConnections: 20, observedMs: 9_000 },
    OBSERVING,
  ],
  [
    'Go with poll.Splice, 20 connections in 10 s',
    { executable: goProxy, quietConnections: 20, observedMs: 10_000 },
    TRUSTED,
  ],
  ['Go without it', { executable: { ...goProxy, importsSplice: false } }, TRUSTED],
];

for (const [name, change, expected] of CASES) {
  test(`trust: ${name}`, () => {
    assert.deepEqual(decideTrust({ ...QUIET, ...change }, DEFAULT_TRUST_LIMITS), expected);
  });
}

test('names of behaviours and reasons are those of bpf/abi.h', () => {
  assert.deepEqual([...BEHAVIOUR_NAMES], behaviourNames);
  assert.deepEqual(Object.values(trustReasonNames), [
    'deny-list',
    'imports-splice',
    'stalled-reader',
  ]);
});
