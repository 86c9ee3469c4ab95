/** A change of an EndpointSlice looks at its addresses, not at the namespace. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EndpointIndex } from '../../../src/control/translate/endpoint-index.ts';
import { NamespaceTranslator } from '../../../src/control/translate/namespace.ts';
import { translateOptions } from '../../../src/control/translate/options.ts';
import { parseText } from '../../../src/control/sources/file/documents.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';
import type { EndpointSliceResource, Resource } from '../../../src/model/resource.ts';
import { pod } from './temporary-folder.ts';

function resource(text: string): Resource {
  const parsed = parseText({ text, line: () => 1 });
  assert.ok(parsed.ok);
  return validateDocument(parsed.content, 'a.yaml').resources[0]!;
}

const SERVICE = resource(`
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.96.0.1
  selector: { app: web }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`);

function slice(ready: boolean): EndpointSliceResource {
  return resource(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ name: http, port: 8080 }]
endpoints: [{ addresses: [10.0.0.1], conditions: { ready: ${ready} } }]
`) as EndpointSliceResource;
}

test('a new version of the only slice is neither its first nor its last one', () => {
  const index = new EndpointIndex();
  const [before, after] = [slice(true), slice(false)];
  index.add(before);
  assert.deepEqual(index.flips(), ['web']);
  index.delete(before);
  index.add(after);
  assert.deepEqual(index.flips(), []);
  index.delete(after);
  assert.deepEqual(index.flips(), ['web']);
  assert.deepEqual(index.flips(), []);
});

test('of a namespace of 100 pods those are looked at whose Service, slice or policy changes', () => {
  const options = translateOptions({ clusterId: 'Kubernetes', trustDomain: 'cluster.local' });
  const namespace = new NamespaceTranslator('shop', options, {
    policiesOf: () => [],
    localityOf: () => undefined,
    scopeOf: () => '',
    inboundClassOf: () => '',
    waypointOf: () => undefined,
  });
  const put: string[] = [];
  const flush = (): string[] => {
    put.length = 0;
    namespace.flush({ put: (uid) => put.push(uid), remove: () => {} });
    return [...put];
  };
  for (let i = 1; i <= 100; i++) {
    const metadata = `labels: { app: ${i < 3 ? 'web' : 'other'} }`;
    namespace.change(undefined, resource(pod(`p${i}`, `10.0.0.${i}`, { metadata })));
  }
  namespace.change(undefined, SERVICE);
  const [before, after] = [slice(true), slice(false)];
  namespace.change(undefined, before);
  assert.equal(flush().length, 100);
  // As the translation of a mesh does it: all removals come first.
  namespace.change(before, undefined);
  namespace.change(undefined, after);
  assert.deepEqual(flush(), ['Kubernetes//Pod/shop/p1']);
  namespace.change(after, undefined);
  const selected = ['Kubernetes//Pod/shop/p1', 'Kubernetes//Pod/shop/p2'];
  assert.deepEqual(flush().sort(), selected, 'its selector is in force again');
  namespace.change(SERVICE, undefined);
  assert.deepEqual(flush().sort(), selected);
  namespace.change(undefined, SERVICE);
  assert.deepEqual(flush().sort(), selected);
  for (const [target, looked] of [
    ['selector: { matchLabels: { app: web } }', selected],
    ['targetRefs: [{ kind: Service, group: "", name: web }]', selected],
    ['action: DENY', []],
  ] as const) {
    const policy = resource(`
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: p, namespace: shop }
spec: { ${target}, rules: [{}] }
`);
    namespace.change(undefined, policy);
    assert.deepEqual(flush().sort(), looked, target);
    namespace.change(policy, undefined);
    assert.deepEqual(flush().sort(), looked, target);
  }
});
