/**
 * Which parents take a route, and what its status says.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { intersection } from '../../../../src/control/translate/l7/gateway-api/hostnames.ts';
import {
  ownsParent,
  routeVerdict,
} from '../../../../src/control/translate/l7/gateway-api/route-verdict.ts';
import type { ApiRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import type { GatewayApiListener } from '../../../../src/model/resource/gateway-api.ts';
import {
  backend,
  gatewayOf,
  GROUP,
  grpcRoute,
  httpRoute,
  l4Route,
  meta,
  toGateway,
  toService,
  world,
} from './world.ts';

const HOSTS: readonly [string | undefined, string[] | undefined, string[]][] = [
  [undefined, undefined, ['*']],
  ['', [], ['*']],
  ['a.example', undefined, ['a.example']],
  [undefined, ['a.example', '*.b.example'], ['a.example', '*.b.example']],
  ['*.example', ['a.example', 'b.other'], ['a.example']],
  ['*.example', ['a.b.example'], ['a.b.example']],
  ['*.example', ['example'], []],
  ['a.example', ['*.example'], ['a.example']],
  ['*.a.example', ['*.example'], ['*.a.example']],
  ['*.example', ['*.a.example'], ['*.a.example']],
  ['a.example', ['b.example'], []],
  ['*.a.example', ['*.b.example'], []],
  ['A.Example', ['a.example'], ['a.example']],
];
for (const [listener, route, expected] of HOSTS) {
  test(`host names: ${listener} and ${route?.join()}`, () => {
    assert.deepEqual(intersection(listener, route), expected);
  });
}

interface Case {
  readonly name: string;
  readonly route: ApiRoute;
  readonly listeners?: readonly Partial<GatewayApiListener>[];
  readonly others?: readonly Resource[];
  /** reason of Accepted; undefined: not podwire's */
  readonly reason: string | undefined;
  readonly findings?: readonly string[];
}

const http = (more: Parameters<typeof httpRoute>[0] = {}): ApiRoute =>
  httpRoute({ parentRefs: [toGateway('shop/gw')], ...more });
const namespaces = (from: 'All' | 'Same' | 'Selector', selector = {}) => ({
  allowedRoutes: { namespaces: { from, selector } },
});
const AT = 'spec.parentRefs[0]';
const NOT_ALLOWED = {
  reason: 'NotAllowedByListeners',
  findings: [`REFERENCE_NOT_PERMITTED ${AT}`],
} as const;
const NO_LISTENER = { reason: 'NoMatchingParent', findings: [`REFERENCE_UNKNOWN ${AT}`] } as const;
const foreign = http({ id: 'other/r' });

const CASES: readonly Case[] = [
  { name: 'a plain one', route: http(), reason: 'Accepted' },
  {
    name: 'sectionName',
    route: http({ parentRefs: [toGateway('shop/gw', { sectionName: 'l0' })] }),
    reason: 'Accepted',
  },
  {
    name: 'unknown sectionName',
    route: http({ parentRefs: [toGateway('shop/gw', { sectionName: 'x' })] }),
    ...NO_LISTENER,
  },
  {
    name: 'unknown port',
    route: http({ parentRefs: [toGateway('shop/gw', { port: 81 })] }),
    ...NO_LISTENER,
  },
  {
    name: 'sectionName of one listener, port of another',
    route: http({ parentRefs: [toGateway('shop/gw', { sectionName: 'l0', port: 81 })] }),
    listeners: [{}, { port: 81 }],
    ...NO_LISTENER,
  },
  { name: 'another namespace, Same', route: foreign, ...NOT_ALLOWED },
  {
    name: 'another namespace, All',
    route: foreign,
    listeners: [namespaces('All')],
    reason: 'Accepted',
  },
  {
    name: 'another namespace, selected by label',
    route: foreign,
    listeners: [namespaces('Selector', { matchLabels: { team: 'team-other' } })],
    reason: 'Accepted',
  },
  {
    name: 'another namespace, selected by expressions',
    route: foreign,
    listeners: [
      namespaces('Selector', {
        matchExpressions: [
          { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['other'] },
          { key: 'x', operator: 'DoesNotExist' },
          { key: 'team', operator: 'Exists' },
          { key: 'team', operator: 'NotIn', values: ['team-shop'] },
        ],
      }),
    ],
    reason: 'Accepted',
  },
  {
    name: 'another namespace, not selected',
    route: foreign,
    listeners: [namespaces('Selector', { matchLabels: { team: 'team-shop' } })],
    ...NOT_ALLOWED,
  },
  {
    name: 'a kind the protocol cannot carry',
    route: l4Route('TCPRoute', { parentRefs: [toGateway('shop/gw')] }),
    ...NOT_ALLOWED,
  },
  {
    name: 'a kind allowedRoutes does not name',
    route: http(),
    listeners: [
      {
        allowedRoutes: {
          namespaces: { from: 'Same' },
          kinds: [{ group: GROUP, kind: 'GRPCRoute' }],
        },
      },
    ],
    ...NOT_ALLOWED,
  },
  {
    name: 'host names that do not meet',
    route: http({ hostnames: ['a.example'] }),
    listeners: [{ hostname: 'b.example' }],
    reason: 'NoMatchingListenerHostname',
    findings: [`HOST_CONFLICT ${AT}`],
  },
  {
    name: 'one of several listeners is enough',
    route: http({ hostnames: ['a.example'] }),
    listeners: [{ hostname: 'b.example' }, { hostname: 'a.example' }],
    reason: 'Accepted',
  },
  {
    name: 'a younger GRPCRoute with the same host name',
    route: grpcRoute({ createdAt: 2, parentRefs: [toGateway('shop/gw')] }),
    others: [http({ id: 'shop/old', createdAt: 1 })],
    reason: 'RouteConflict',
    findings: ['HOST_CONFLICT spec.hostnames'],
  },
  {
    name: 'an older GRPCRoute with the same host name',
    route: grpcRoute({ createdAt: 1, parentRefs: [toGateway('shop/gw')] }),
    others: [http({ id: 'shop/young', createdAt: 2 })],
    reason: 'Accepted',
  },
  {
    name: 'a GRPCRoute of the same age: by name',
    route: grpcRoute({ id: 'shop/b', createdAt: 1, parentRefs: [toGateway('shop/gw')] }),
    others: [http({ id: 'shop/a', createdAt: 1 })],
    reason: 'RouteConflict',
    findings: ['HOST_CONFLICT spec.hostnames'],
  },
  {
    name: 'a GRPCRoute with another host name',
    route: grpcRoute({ createdAt: 2, hostnames: ['g.x'], parentRefs: [toGateway('shop/gw')] }),
    others: [http({ id: 'shop/old', createdAt: 1, hostnames: ['h.x'] })],
    reason: 'Accepted',
  },
  {
    name: 'an unknown Gateway is nobody’s',
    route: http({ parentRefs: [toGateway('shop/x')] }),
    reason: undefined,
    findings: [`GATEWAY_UNKNOWN ${AT}.name`],
  },
  {
    name: 'another controller’s kind is left alone',
    route: http({ parentRefs: [{ group: 'x', kind: 'Y', name: 'z' }] }),
    reason: undefined,
  },
  {
    name: 'a Service',
    route: http({ parentRefs: [toService('shop/a')] }),
    reason: 'Accepted',
  },
  {
    name: 'a Service of another namespace',
    route: http({ parentRefs: [toService('other/a', { port: 8080 })] }),
    reason: 'Accepted',
  },
  {
    name: 'a Service’s port by name',
    route: http({ parentRefs: [toService('shop/a', { sectionName: 'alt' })] }),
    reason: 'Accepted',
  },
  {
    name: 'an unknown Service',
    route: http({ parentRefs: [toService('shop/x')] }),
    reason: 'NoMatchingParent',
    findings: [`HOST_UNKNOWN ${AT}.name`],
  },
  {
    name: 'an unknown port of a Service',
    route: http({ parentRefs: [toService('shop/a', { port: 81 })] }),
    reason: 'NoMatchingParent',
    findings: [`PORT_UNKNOWN ${AT}.port`],
  },
  {
    name: 'host names with a Service',
    route: http({ parentRefs: [toService('shop/a')], hostnames: ['a.example'] }),
    reason: 'Accepted',
    findings: ['FIELD_UNUSED spec.hostnames'],
  },
  {
    name: 'a filter nobody knows',
    route: http({ rules: [{ filters: [{ type: 'ExtensionRef' }] }] }),
    reason: 'UnsupportedValue',
    findings: ['NOT_SUPPORTED spec.rules[0].filters[0]'],
  },
  {
    name: 'a second rule of a TCPRoute',
    route: l4Route('TCPRoute', {
      parentRefs: [toService('shop/a')],
      rules: [{ backendRefs: [backend('a')] }, { backendRefs: [backend('b')] }],
    }),
    reason: 'Accepted',
    findings: ['FIELD_UNUSED spec.rules[1]'],
  },
];
for (const { name, route, listeners = [{}], others = [], reason, findings = [] } of CASES) {
  test(`parent: ${name}`, () => {
    const verdict = routeVerdict(route, world(gatewayOf(listeners), route, ...others));
    const accepted = verdict.parents[0]?.accepted;
    assert.equal(accepted?.reason, reason);
    assert.equal(accepted?.ok ?? false, reason === 'Accepted');
    const said = verdict.findings.map(({ code, path }) => `${code} ${path}`);
    assert.deepEqual(said, findings);
    for (const one of verdict.findings) {
      assert.equal(one.resource, route.id);
      assert.ok(one.message !== '' && one.fix !== '');
    }
  });
}

test('GatewayClasses decide which Gateways are podwire’s', () => {
  const classOf = (name: string, controllerName: string): Resource => ({
    ...meta('GatewayClass', `/${name}`),
    spec: { controllerName },
  });
  const owns = (className: string, ...classes: Resource[]): boolean => {
    const gateway = gatewayOf([{}], { gatewayClassName: className });
    return ownsParent(toGateway('shop/gw'), 'shop', world(gateway, ...classes));
  };
  const OURS = 'podwire.io/gateway-controller';
  assert.equal(owns('podwire'), true);
  assert.equal(owns('istio'), false);
  assert.equal(owns('edge', classOf('edge', OURS)), true);
  assert.equal(owns('edge', classOf('edge', 'x.example/y')), false);
  assert.equal(owns('podwire', classOf('podwire', 'x.example/y')), false);
  assert.equal(ownsParent(toService('shop/a'), 'shop', world()), true);
  assert.equal(ownsParent(toGateway('shop/gone'), 'shop', world()), false);
});

test('ResolvedRefs is false with the reason, and the route is still accepted', () => {
  const route = http({ rules: [{ backendRefs: [backend('a', 1, { namespace: 'other' })] }] });
  const [parent] = routeVerdict(route, world(gatewayOf([{}]), route)).parents;
  assert.equal(parent?.accepted.ok, true);
  assert.equal(parent?.resolvedRefs.ok, false);
  assert.equal(parent?.resolvedRefs.reason, 'RefNotPermitted');
});
