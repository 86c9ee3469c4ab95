/**
 * What the translation tells the scoping of the server, and that it says when that may have changed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshScope } from '../../../src/control/scope/mesh-scope.ts';
import type { GatewayPlacement } from '../../../src/control/scope/visibility.ts';
import type { ResourceChange } from '../../../src/control/resource-index.ts';
import type { Resource } from '../../../src/model/resource.ts';
import { pod, resource, secret, service, translate } from './l7/translated.ts';

const CERT = 'kubernetes://edge/cert';
const main = resource('Gateway', 'edge/main', {
  selector: { istio: 'gateway' },
  servers: [
    {
      hosts: ['*'],
      port: { number: 443, name: 'https', protocol: 'HTTPS' },
      tls: { mode: 'SIMPLE', credentialName: 'cert' },
    },
  ],
} as never);
const route = resource('VirtualService', 'edge/web', {
  hosts: ['web.example'],
  gateways: ['main'],
  http: [{ directResponse: { status: 200 } }],
} as never);

function used(
  gateways: GatewayPlacement,
  secretName: string,
  node: string,
  cluster = 'Kubernetes',
  ...scopes: readonly string[]
): boolean {
  const hasScope = (scope: string): boolean => scopes.includes(scope);
  return gateways.isSecretUsedAt(secretName, { cluster, node, hasScope });
}

function scoped(...resources: readonly Resource[]) {
  const { translator } = translate();
  const scope = new MeshScope(() => translator.visibility);
  const apply = (...list: ResourceChange[]): void => scope.apply(translator.apply(list));
  apply(...resources.map((after) => ({ before: undefined, after })));
  return { ...scope, apply };
}

test('a gateway’s listeners and Secrets follow its pods, and another cluster’s node of that name gets neither', () => {
  const first = pod('edge/gw', '10.0.0.1', { istio: 'gateway' }, 'n1');
  const { gateways, apply } = scoped(main, route, secret('edge/cert'), first);
  const at = (node: string, cluster = 'Kubernetes') => [
    gateways.runsAt('edge/main', cluster, node),
    used(gateways, CERT, node, cluster),
  ];
  assert.deepEqual([at('n1'), at('n2'), at('n1', 'west')].flat(), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  assert.equal(used(gateways, 'kubernetes://edge/other', 'n1'), false);
  const { version } = gateways;
  apply({ before: undefined, after: pod('edge/x', '10.0.0.9', {}, 'n2') });
  assert.equal(gateways.version, version, 'no pod of a gateway');
  apply({ before: first, after: pod('edge/gw', '10.0.0.1', { istio: 'gateway' }, 'n2') });
  assert.notEqual(gateways.version, version);
  assert.deepEqual([at('n1'), at('n2')].flat(), [false, false, true, true]);
  apply({ before: main, after: undefined });
  assert.deepEqual(at('n2'), [false, false]);
});

test('a selector without labels gives the Secrets to nobody', () => {
  const open = {
    ...main,
    spec: { ...(main as { spec: object }).spec, selector: {} },
  } as typeof main;
  const { gateways } = scoped(
    open,
    route,
    secret('edge/cert'),
    pod('edge/gw', '10.0.0.1', {}, 'n1'),
  );
  assert.equal(used(gateways, CERT, 'n1'), false);
});

test('nothing is hidden until a Sidecar or an exportTo comes, and again when it goes', () => {
  const { visibility, apply } = scoped(service('shop/web', '10.1.0.1', { http: 80 }));
  const key = 'shop/web.shop.svc.cluster.local';
  assert.equal(visibility.hidesNothing, true);
  const versions = [visibility.version];
  const sidecar = resource('Sidecar', 'blog/default', { egress: [{ hosts: ['./*'] }] });
  apply({ before: undefined, after: sidecar });
  versions.push(visibility.version);
  assert.deepEqual(
    [visibility.hidesNothing, visibility.serviceVisible('blog', key)],
    [false, false],
  );
  apply({ before: undefined, after: pod('blog/p', '10.0.0.1', { app: 'x' }) });
  assert.equal(visibility.version, versions.at(-1), 'a pod changes nothing');
  apply({ before: sidecar, after: undefined });
  versions.push(visibility.version);
  assert.equal(visibility.hidesNothing, true);
  assert.equal(new Set(versions).size, 3);
});
