/**
 * A folder full of mistakes: one clear error for each, and everything else applies.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { validateDocument } from '../../../src/control/validate/document.ts';
import { repositoryRoot } from '../../support/repository.ts';
import { read } from './temporary-folder.ts';

const FOLDER = join(repositoryRoot(), 'test/fixtures/config/bad-input');

test('one error per mistake, naming file, resource and field', async (t) => {
  const names = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  const files = names.map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')] as const);
  // Not in the folder: the formatter refuses to look at it.
  const broken = { 'not-yaml.yaml': 'apiVersion: v1\nkind: "never closed\n' };
  const watched = await read(t, { ...Object.fromEntries(files), ...broken });
  assert.deepEqual(watched.findings, [
    "NETNS_INVALID | netns.yaml | Pod shop/netns | metadata.annotations.'podwire.io/netns'",
    'POD_NO_ADDRESS | no-address.yaml | Pod shop/no-address | status.podIPs',
    'YAML_INVALID | not-yaml.yaml |  | ',
    'POLICY_REFUSED | policy.yaml | AuthorizationPolicy shop/misspelt | spec.rules[0].from[0].source.principal',
    'FIELD_INVALID | port-out-of-range.yaml | Service shop/web | spec.ports[1].port',
    'ADDRESS_CONFLICT | same-address.yaml | Pod shop/later | status.podIPs',
  ]);
  assert.ok(watched.last!.findings.every(({ severity }) => severity === 'error'));
  assert.deepEqual(watched.workloads, ['shop/good', 'shop/netns']);
  assert.deepEqual(watched.service('shop/web')!.ports, [{ servicePort: 80, targetPort: 80 }]);
  assert.deepEqual(watched.workload('shop/good')!.authorizationPolicies, [
    'shop/podwire_refused_misspelt',
  ]);
});

test('no document makes validation throw', () => {
  const KINDS = [
    'Pod',
    'Service',
    'EndpointSlice',
    'AuthorizationPolicy',
    'PeerAuthentication',
    'List',
  ];
  const keys = fc.constantFrom(
    ...[
      'metadata',
      'spec',
      'status',
      'items',
      'name',
      'namespace',
      'labels',
      'annotations',
      'ports',
    ],
    ...['port', 'targetPort', 'podIPs', 'ip', 'rules', 'from', 'source', 'to', 'operation', 'when'],
    ...[
      'key',
      'values',
      'principals',
      'selector',
      'matchLabels',
      'endpoints',
      'addresses',
      '__proto__',
    ],
  );
  const values = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      fc.constantFrom(null, true, 80, -1, 'a', '', '10.0.0.1', '*'),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(keys, tie('value'), { maxKeys: 4 }),
    ),
  })).value;
  const document = fc.record({
    apiVersion: fc.constantFrom('v1', 'security.istio.io/v1', 'discovery.k8s.io/v1', 1),
    kind: fc.constantFrom(...KINDS),
    metadata: fc.oneof(values, fc.constant({ name: 'x' })),
    spec: values,
    status: values,
    items: values,
  });
  fc.assert(
    fc.property(fc.oneof(document, values), (content) => {
      for (const { message, fix } of validateDocument(content, 'f.yaml').findings) {
        assert.ok(message !== '' && fix !== '');
      }
    }),
    { numRuns: 3000 },
  );
});
