/**
 * PeerAuthentications → policies: what a workload refuses for want of an identity, at which ports, and which pods a change
 * concerns.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide, hostPrefix, principalOf } from '../../../src/compile/kernel/policy/evaluate.ts';
import type { Ip } from '../../../src/model/ip.ts';
import type { PeerAuthenticationSpec } from '../../../src/model/resource/security.ts';
import type { Resource } from '../../../src/model/resource.ts';
import { pod, resource, translate, type Translated } from './l7/translated.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const ROOT = 'istio-system';
const STATIC_STRICT = `${ROOT}/istio_converted_static_strict`;
const PORTS = [80, 81, 82];
const WEB = { app: 'web' };
const SOURCE = hostPrefix('10.9.9.9' as Ip);

type Mode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

function peer(path: string, spec: PeerAuthenticationSpec, createdAt = 0): Resource {
  return resource('PeerAuthentication', path, spec, { createdAt });
}

const narrow = (mode: Mode | undefined, ports: Readonly<Record<number, Mode>> = {}) => ({
  selector: { matchLabels: WEB },
  ...(mode && { mtls: { mode } }),
  ...(Object.keys(ports).length > 0 && {
    portLevelMtls: Object.fromEntries(
      Object.entries(ports).map(([port, found]) => [port, { mode: found }]),
    ),
  }),
});

/** The ports at which the pod's policies refuse a connection without identity; one with an identity passes at all. */
function strictPorts(translated: Translated, path = 'shop/web'): number[] {
  const names = translated.workload(path)!.authorizationPolicies;
  const policies = names.map((name) => {
    const found = translated.authorizations.get(name);
    assert.ok(found, `${name} is listed and does not exist`);
    return found;
  });
  const destination = hostPrefix('10.0.0.1' as Ip);
  const passes = (spiffe: string | undefined, port: number): boolean =>
    decide(policies, { ...principalOf(spiffe), source: SOURCE, destination, port }).allowed;
  for (const port of PORTS) assert.ok(passes('spiffe://cluster.local/ns/a/sa/b', port));
  return PORTS.filter((port) => !passes(undefined, port));
}

const anyMode = fc.constantFrom<Mode | undefined>(
  undefined,
  'UNSET',
  'DISABLE',
  'PERMISSIVE',
  'STRICT',
);
const anyPorts = fc.dictionary(
  fc.constantFrom('80', '81', '90'),
  fc.constantFrom<Mode>('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'),
);

test('the nearest that says something decides, port by port', () => {
  const strictAt = new Set<string>();
  fc.assert(
    fc.property(
      fc.record({ mesh: anyMode, ns: anyMode, own: fc.option(anyMode), ports: anyPorts }),
      ({ mesh, ns, own, ports }) => {
        const translated = translate(
          pod('shop/web', '10.0.0.1', WEB),
          peer(`${ROOT}/m`, { ...(mesh && { mtls: { mode: mesh } }) }),
          peer('shop/n', { ...(ns && { mtls: { mode: ns } }) }),
          ...(own === null ? [] : [peer('shop/w', narrow(own, ports))]),
        );
        const said = (mode: Mode | undefined): mode is Mode =>
          mode !== undefined && mode !== 'UNSET';
        const expected = PORTS.filter((port) => {
          const nearest = own === null ? [ns, mesh] : [ports[port], own, ns, mesh];
          return nearest.find(said) === 'STRICT';
        });
        assert.deepEqual(strictPorts(translated), expected);
        strictAt.add(expected.join());
        const names = translated.workload('shop/web')!.authorizationPolicies;
        assert.ok(names.length <= 1);
        if (names[0] === STATIC_STRICT) assert.deepEqual(expected, PORTS);
      },
    ),
    { seed: SEED, numRuns: 1000 },
  );
  assert.equal(strictAt.size, 2 ** 2 * 2, 'port 80, port 81, the others');
});

test('of two for the same the oldest is in force, and the others are told so', () => {
  const translated = translate(
    pod('shop/web', '10.0.0.1', WEB),
    peer('shop/younger', { mtls: { mode: 'STRICT' } }, 2000),
    peer('shop/older', { mtls: { mode: 'PERMISSIVE' } }, 1000),
  );
  assert.deepEqual(strictPorts(translated), []);
  const narrowOnes = translate(
    pod('shop/web', '10.0.0.1', WEB),
    peer('shop/a', narrow('PERMISSIVE', { 80: 'STRICT' }), 2000),
    peer('shop/b', narrow('PERMISSIVE', { 81: 'STRICT' }), 1000),
    peer('shop/c', { ...narrow('STRICT'), selector: { matchLabels: { app: 'nobody' } } }, 500),
  );
  assert.deepEqual(strictPorts(narrowOnes), [81]);
  assert.deepEqual(
    narrowOnes.translator.findings().map(({ code, resource: id, path }) => `${code} ${id} ${path}`),
    ['SCOPE_CONFLICT PeerAuthentication shop/a spec.selector'],
  );
});

test('a selector in the root namespace selects nothing, its own pods included', () => {
  const translated = translate(
    pod(`${ROOT}/web`, '10.0.0.1', WEB),
    pod('shop/web', '10.0.0.2', WEB),
    peer(`${ROOT}/p`, narrow('STRICT', { 80: 'PERMISSIVE' })),
  );
  for (const path of ['shop/web', `${ROOT}/web`])
    assert.deepEqual(strictPorts(translated, path), []);
  assert.deepEqual(
    translated.translator.findings().map(({ code }) => code),
    ['FIELD_UNUSED'],
  );
  assert.deepEqual([...translated.authorizations.keys()], [STATIC_STRICT]);
});

test('the mode of the mesh reaches pods whose namespace says nothing', () => {
  const wide = peer(`${ROOT}/m`, { mtls: { mode: 'STRICT' } });
  const translated = translate(
    pod('shop/web', '10.0.0.1', WEB),
    pod('blog/web', '10.0.0.2', WEB),
    peer('blog/n', { mtls: { mode: 'PERMISSIVE' } }),
  );
  const modes = () => ['shop/web', 'blog/web'].map((path) => strictPorts(translated, path).length);
  assert.deepEqual(modes(), [0, 0]);
  translated.apply([{ before: undefined, after: wide }]);
  assert.deepEqual(modes(), [3, 0]);
  translated.apply([{ before: wide, after: undefined }]);
  assert.deepEqual(modes(), [0, 0]);
});

test('a WorkloadEntry is a workload like any other', () => {
  const translated = translate(
    resource('WorkloadEntry', 'shop/vm', { address: '10.0.0.1', labels: WEB }),
    peer('shop/p', narrow('STRICT')),
  );
  const found = [...translated.addresses.values()].flatMap((address) =>
    address.kind === 'workload' ? address.workload.authorizationPolicies : [],
  );
  assert.deepEqual(found, [STATIC_STRICT]);
});
