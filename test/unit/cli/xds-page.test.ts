/**
 * What `podwire status` says of xDS servers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOutPage } from '../../../src/cli/left-out-page.ts';
import { nodePage, xdsPage } from '../../../src/cli/xds-page.ts';
import type { XdsStatus } from '../../../src/xds/client/status.ts';

const STATUS: XdsStatus = {
  servers: [
    {
      address: 'istiod:15012',
      active: true,
      state: 'up',
      protocol: 'delta',
      connectedSince: '2026-01-01T00:00:00.000Z',
      reconnects: 2,
      error: '',
      bytes: 10,
      controlPlane: '',
      unknownTypes: {},
    },
    {
      address: 'backup:15012',
      active: false,
      state: 'idle',
      protocol: '',
      connectedSince: '',
      reconnects: 0,
      error: '',
      bytes: 0,
      controlPlane: '',
      unknownTypes: {},
    },
  ],
  types: [
    {
      type: 'addresses',
      typeUrl: 'type.googleapis.com/istio.workload.Address',
      version: '7',
      nonce: 'n',
      resources: 3,
      pushes: 4,
      rejects: 1,
      lastPush: '2026-01-01T00:00:01.000Z',
      refused: [{ name: 'a', reason: 'workload.uid: is missing' }],
    },
  ],
  incomplete: '',
  waiting: ['listeners l (needs routes r)'],
  stale: null,
  switches: 1,
};

test('servers, types, and what is wrong', () => {
  const page = xdsPage(STATUS);
  assert.match(page, /^istiod:15012 \* +up +delta +2026-01-01T00:00:00\.000Z +2 +-$/m);
  assert.match(page, /^backup:15012 +idle +- +- +0 +-$/m);
  assert.match(page, /^addresses +nacked +3 +7 +4 +1 +2026-01-01T00:00:01\.000Z$/m);
  assert.match(page, /^held back: listeners l \(needs routes r\)$/m);
  assert.match(page, /^refused: addresses a: workload\.uid: is missing$/m);
});

test('a configuration of an earlier run is not to be overlooked', () => {
  const stale = { savedAt: '2026-01-01T00:00:00.000Z', ageSeconds: 90 };
  const page = xdsPage({ ...STATUS, types: [], stale, incomplete: 'x is away' });
  assert.match(page, /^no server has answered yet$/m);
  assert.match(page, /^STALE: saved 2026-01-01T00:00:00\.000Z, 1m.* ago$/m);
  assert.match(page, /^incomplete: x is away$/m);
});

test('a machine that has not joined says why, and what helps', () => {
  const error = 'token is missing: make a new token';
  const page = nodePage({ name: '', expires: '', renews: '', renewals: 0, error });
  assert.match(page, /^node +not joined$/m);
  assert.match(page, /^certificate +-$/m);
  assert.match(page, /^node error +token is missing: make a new token$/m);
});

test('what cannot be read of a foreign control plane is said', () => {
  const page = leftOutPage({
    controlPlane: '',
    types: ['listeners', 'routes'],
    reason: 'it does not say that it is podwire control',
    fix: 'ask for them: --xds-l7 on',
    resources: [],
    error: 'PERMISSION_DENIED: no',
  });
  assert.deepEqual(page.split('\n'), [
    'left out by this control plane:',
    '  listeners, routes: not asked for: it does not say that it is podwire control',
    '    fix: ask for them: --xds-l7 on',
    '  what users have configured there could not be read: PERMISSION_DENIED: no',
  ]);
});
