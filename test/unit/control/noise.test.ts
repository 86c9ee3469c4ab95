/**
 * Noise for what reads the world outside of files of resources: objects of an API server, admission reviews, MeshConfigs.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readMeshConfig } from '../../../src/control/mesh-config.ts';
import {
  BUILT_IN_KINDS,
  CUSTOM_KINDS,
  SECRET_KIND,
} from '../../../src/control/sources/kubernetes/kinds.ts';
import { asObject, contentOf } from '../../../src/control/sources/kubernetes/object.ts';
import { review } from '../../../src/control/webhook/review.ts';

const RUNS = 2000;

const keys = fc.constantFrom(
  ...['name', 'namespace', 'uid', 'labels', 'annotations', 'ownerReferences', 'kind', 'controller'],
  ...['podIP', 'podIPs', 'ip', 'phase', 'conditions', 'type', 'status', 'containers', 'ports'],
  ...['port', 'targetPort', 'protocol', 'containerPort', 'livenessProbe', 'httpGet', 'selector'],
  ...['clusterIP', 'clusterIPs', 'endpoints', 'addresses', 'targetRef', 'data', 'stringData'],
  ...['tls.crt', 'tls.key', 'ca.crt', 'hosts', 'http', 'route', 'destination', 'host', 'rules'],
  ...['podwire.io/netns', 'podwire.io/splice', 'podwire.io/weight', '__proto__', 'constructor'],
  ...['toString', 'valueOf'],
  ...['extensionProviders', 'envoyExtAuthzGrpc', 'envoyExtAuthzHttp', 'service', 'timeout'],
  ...['accessLogFile', 'accessLogEncoding', 'defaultProviders', 'pathNormalization', 'mesh'],
  ...['apiVersion', 'metadata', 'spec', 'request', 'object', 'operation'],
);
const leaves = fc.constantFrom<unknown>(
  ...[null, true, false, 0, -1, 80, 1.5, 1e300, '', 'a', '*', '10.0.0.1', '5s', 'x'.repeat(300)],
  ...['never,8080=always', 'LS0tLS1CRUdJTg==', '\u0000', 'ConfigMap', 'a: [', 'AdmissionReview'],
);
const value = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    leaves,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(keys, tie('value'), { maxKeys: 5 }),
  ),
})).value;
const mapping = fc.dictionary(keys, value, { maxKeys: 6 });

test('an object of an API server is read or told of; no reader throws', () => {
  const kinds = fc.constantFrom(...BUILT_IN_KINDS, ...CUSTOM_KINDS, SECRET_KIND);
  const object = fc.record({
    metadata: fc.oneof(
      fc.record({ name: fc.constant('a'), namespace: fc.constant('shop') }),
      fc.record({ name: fc.constant('a'), labels: value, annotations: value }),
      value,
    ),
    spec: fc.oneof(mapping, value),
    status: fc.oneof(mapping, value),
    data: mapping,
  });
  fc.assert(
    fc.property(kinds, fc.oneof({ arbitrary: object, weight: 20 }, value), (kind, raw) => {
      const found = asObject(raw);
      if (found === undefined) return;
      const content = contentOf(found, {
        origin: `own/${kind.kind}/shop/a`,
        cluster: 'own',
        network: '',
        apiVersion: kind.group === '' ? 'v1' : `${kind.group}/v1`,
        kind,
      });
      // This one says that a reader has thrown.
      const broken = content?.findings.find(({ code }) => code === 'OBJECT_UNREADABLE');
      assert.equal(broken, undefined, broken?.message);
    }),
    { numRuns: RUNS },
  );
});

test('a reader that throws costs the one object, and says so', () => {
  const kind = BUILT_IN_KINDS.find((one) => one.kind === 'Pod')!;
  const hostile = {
    metadata: { name: 'a', namespace: 'shop' },
    get status(): never {
      throw new Error('as a bug would');
    },
  };
  const place = { origin: 'o', cluster: 'own', network: '', apiVersion: 'v1', kind };
  const content = contentOf(hostile, place);
  assert.deepEqual(content?.resources, []);
  assert.deepEqual(
    content?.findings.map(({ code, resource, message }) => [code, resource, message]),
    [['OBJECT_UNREADABLE', 'Pod shop/a', 'cannot be read: as a bug would']],
  );
});

test('no review makes the webhook throw, and what is none has no answer', () => {
  const context = { cluster: 'own', preview: () => [] };
  const object = fc.oneof(
    value,
    fc.record({ apiVersion: value, kind: value, metadata: value, spec: value }),
    fc.record({
      apiVersion: fc.constantFrom('networking.istio.io/v1', 'gateway.networking.k8s.io/v1'),
      kind: fc.constantFrom('VirtualService', 'Gateway', 'HTTPRoute', 'Sidecar', 'Nothing'),
      metadata: value,
      spec: mapping,
    }),
  );
  const request = fc.record({
    uid: fc.oneof(fc.constant('u'), value),
    operation: fc.constantFrom('CREATE', 'DELETE', 1),
    object,
  });
  const body = fc.oneof(
    fc.record({
      apiVersion: fc.constant('admission.k8s.io/v1'),
      kind: fc.constant('AdmissionReview'),
      request: fc.oneof(request, mapping),
    }),
    value,
  );
  fc.assert(
    fc.property(body, (sent) => {
      const answer = review(sent, context);
      if (answer === undefined) return;
      const { uid, allowed, status } = answer.response;
      assert.equal(uid, (sent as { request: { uid: unknown } }).request.uid);
      assert.equal(allowed, status === undefined);
    }),
    { numRuns: RUNS },
  );
});

test('no text makes the reader of MeshConfigs throw', () => {
  const text = fc.oneof(
    mapping.map((content) => JSON.stringify(content)),
    mapping.map((content) =>
      JSON.stringify({ kind: 'ConfigMap', data: { mesh: JSON.stringify(content) } }),
    ),
    value.map((content) => JSON.stringify(content)),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      const { config, findings } = readMeshConfig(yaml, 'mesh.yaml');
      assert.ok(config.providers instanceof Map);
      for (const { message, fix } of findings) assert.ok(message !== '' && fix !== '');
    }),
    { numRuns: RUNS },
  );
});
