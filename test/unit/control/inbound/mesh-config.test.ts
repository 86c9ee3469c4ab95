/**
 * MeshConfig: where it is read from, and that a provider that cannot be read is known and unusable.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_MESH_CONFIG, readMeshConfig } from '../../../../src/control/mesh-config.ts';

const found = (text: string) => {
  const { config, findings } = readMeshConfig(text, 'm.yaml');
  return { config, places: findings.map(({ code, path }) => `${code} ${path}`) };
};

test('nothing, a file, or a ConfigMap around it', () => {
  assert.deepEqual(found(''), { config: DEFAULT_MESH_CONFIG, places: [] });
  const mesh = 'enableTracing: true\ndefaultConfig: { tracing: { sampling: 25 } }';
  const map = JSON.stringify({ kind: 'ConfigMap', metadata: { name: 'istio' }, data: { mesh } });
  for (const text of [mesh, map]) {
    const { config, places } = found(text);
    assert.deepEqual([config.tracing, config.tracingSampling, places], [true, 25, []]);
  }
});

test('what is set and not read is named', () => {
  assert.deepEqual(found('verifyCertificateAtClient: true').places, [
    'NOT_SUPPORTED verifyCertificateAtClient',
  ]);
  assert.deepEqual(found('a: [').places, ['YAML_INVALID ']);
});

test('ext_authz over gRPC, with Istio’s defaults', () => {
  const provider = '{ name: a, envoyExtAuthzGrpc: { service: ns/h, port: 9, timeout: 1.5s } }';
  const { config, places } = found(`extensionProviders: [${provider}]`);
  assert.deepEqual(places, []);
  assert.deepEqual(config.providers.get('a'), {
    type: 'ext-authz',
    name: 'a',
    at: { host: 'h', namespace: 'ns', port: 9 },
    service: { type: 'grpc', timeoutMs: 1500 },
    failOpen: false,
    errorStatus: 403,
    bodyBytes: 0,
    allowPartialBody: false,
  });
});

const unusable: readonly [string, string, string][] = [
  [
    'a field nobody reads',
    'envoyExtAuthzHttp: { service: h, port: 1, clearRouteCache: true }',
    'FIELD_UNKNOWN',
  ],
  ['no port', 'envoyExtAuthzGrpc: { service: h }', 'FIELD_MISSING'],
  ['no service', 'envoyExtAuthzGrpc: { port: 1 }', 'FIELD_MISSING'],
  ['a bad timeout', 'envoyExtAuthzGrpc: { service: h, port: 1, timeout: soon }', 'FIELD_INVALID'],
  [
    'a bad status',
    'envoyExtAuthzGrpc: { service: h, port: 1, statusOnError: "9" }',
    'FIELD_INVALID',
  ],
  ['another type', 'envoyHttpAls: { service: h, port: 1 }', 'NOT_SUPPORTED'],
  ['two types', 'zipkin: {}, datadog: {}', 'FIELD_INVALID'],
];
for (const [name, body, code] of unusable) {
  test(`a provider with ${name} is there and cannot be used`, () => {
    const { config, places } = found(`extensionProviders: [{ name: a, ${body} }]`);
    assert.deepEqual(config.providers.get('a'), { type: 'unusable', name: 'a' });
    assert.equal(places.length, 1);
    assert.ok(places[0]!.startsWith(code), places[0]);
  });
}
