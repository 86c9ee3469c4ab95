/**
 * What stands in the statuses of Gateway API resources: reasons by parent and listener, and what is left alone.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  apiStatus,
  type ApiObject,
  type ApiStatus,
} from '../../../../src/control/status/gateway-api.ts';
import { SUPPORTED_FEATURES } from '../../../../src/control/status/supported-features.ts';
import { gatewayConfig } from '../../../../src/control/translate/l7/gateway-api/gateway.ts';
import { routeVerdict } from '../../../../src/control/translate/l7/gateway-api/route-verdict.ts';
import type { ApiRoute } from '../../../../src/control/translate/l7/gateway-api/view.ts';
import { equal } from '../../../../src/model/equal.ts';
import type { Finding } from '../../../../src/model/finding.ts';
import type { Resource } from '../../../../src/model/resource.ts';
import {
  CONTROLLER_NAME,
  type GatewayApiListener,
} from '../../../../src/model/resource/gateway-api.ts';
import {
  backend,
  gatewayOf,
  grpcRoute,
  httpRoute,
  l4Route,
  secret,
  toGateway,
  toService,
  world,
} from '../gateway-api/world.ts';

const NOBODY = { ownsClass: () => false, ownsParent: () => false };
const T1 = '2026-01-01T00:00:01Z';
const T2 = '2026-01-01T00:00:02Z';

const short = (conditions: NonNullable<ApiStatus['conditions']> = []): string[] =>
  conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`);

function statusOf(
  route: ApiRoute,
  others: readonly Resource[] = [gatewayOf([{}])],
  { status = {}, now = T1 }: { status?: ApiStatus; now?: string } = {},
): ApiStatus {
  const { generation } = route;
  const verdict = routeVerdict(route, world(route, ...others));
  const object: ApiObject = {
    metadata: generation === undefined ? {} : { generation },
    spec: { parentRefs: route.spec.parentRefs ?? [] },
    status,
  };
  const report = { findings: verdict.findings, verdict };
  return apiStatus(route.kind, route.namespace, object, report, NOBODY, now) ?? assert.fail();
}

const parents = (status: ApiStatus): string[][] =>
  (status.parents ?? []).map(({ conditions }) => short(conditions));

const REF = { parentRefs: [toGateway('shop/gw')] };
const RESOLVED = 'ResolvedRefs True ResolvedRefs';
const REASONS: readonly (readonly [string, ApiRoute, readonly Resource[], readonly string[]])[] = [
  ['taken', httpRoute(REF), [gatewayOf([{}])], ['Accepted True Accepted', RESOLVED]],
  [
    'no such listener',
    httpRoute({ parentRefs: [toGateway('shop/gw', { sectionName: 'none' })] }),
    [gatewayOf([{}])],
    ['Accepted False NoMatchingParent', RESOLVED],
  ],
  [
    'another namespace',
    httpRoute({ id: 'other/r', ...REF }),
    [gatewayOf([{}])],
    ['Accepted False NotAllowedByListeners', RESOLVED],
  ],
  [
    'no host name in common',
    httpRoute({ ...REF, hostnames: ['a.x'] }),
    [gatewayOf([{ hostname: 'b.x' }])],
    ['Accepted False NoMatchingListenerHostname', RESOLVED],
  ],
  [
    'no such backend',
    httpRoute({ ...REF, rules: [{ backendRefs: [backend('none')] }] }),
    [gatewayOf([{}])],
    ['Accepted True Accepted', 'ResolvedRefs False BackendNotFound'],
  ],
  [
    'a backend of no known kind',
    httpRoute({ ...REF, rules: [{ backendRefs: [backend('a', 1, { kind: 'Pod' })] }] }),
    [gatewayOf([{}])],
    ['Accepted True Accepted', 'ResolvedRefs False InvalidKind'],
  ],
  [
    'a backend without a ReferenceGrant',
    httpRoute({ ...REF, rules: [{ backendRefs: [backend('a', 1, { namespace: 'other' })] }] }),
    [gatewayOf([{}])],
    ['Accepted True Accepted', 'ResolvedRefs False RefNotPermitted'],
  ],
  [
    'nothing in it can be done',
    httpRoute({ ...REF, rules: [{ filters: [{ type: 'ExtensionRef' }] }] }),
    [gatewayOf([{}])],
    ['Accepted False UnsupportedValue', RESOLVED],
  ],
  [
    'something in it can be done',
    httpRoute({
      ...REF,
      rules: [{ filters: [{ type: 'ExtensionRef' }] }, { backendRefs: [backend('a')] }],
    }),
    [gatewayOf([{}])],
    ['Accepted True Accepted', RESOLVED, 'PartiallyInvalid True UnsupportedValue'],
  ],
  [
    'an older one of the other kind',
    grpcRoute({ ...REF, createdAt: 2 }),
    [gatewayOf([{}]), httpRoute({ ...REF, createdAt: 1 })],
    ['Accepted False RouteConflict', RESOLVED],
  ],
  [
    'an older TCPRoute',
    l4Route('TCPRoute', { ...REF, createdAt: 2 }),
    [
      gatewayOf([{ protocol: 'TCP' }]),
      l4Route('TCPRoute', { ...REF, id: 'shop/old', createdAt: 1 }),
    ],
    ['Accepted False RouteConflict', RESOLVED],
  ],
  [
    'a Service',
    httpRoute({ parentRefs: [toService('shop/a')] }),
    [],
    ['Accepted True Accepted', RESOLVED],
  ],
  [
    'a Service that is not there',
    httpRoute({ parentRefs: [toService('shop/none')] }),
    [],
    ['Accepted False NoMatchingParent', RESOLVED],
  ],
];
for (const [name, route, others, expected] of REASONS) {
  test(`route: ${name}`, () => {
    const status = statusOf(route, others);
    assert.deepEqual(parents(status), [expected]);
    for (const { message, status: value, type } of status.parents?.[0]?.conditions ?? []) {
      const bad = (value === 'False') !== (type === 'PartiallyInvalid');
      if (bad) assert.notEqual(message, '', type);
    }
  });
}

test('route: every parent has conditions of its own, and none that is not podwire’s', () => {
  const route = httpRoute({
    hostnames: ['a.x'],
    parentRefs: [
      toGateway('shop/gw', { sectionName: 'l0' }),
      toGateway('shop/gw', { sectionName: 'l1' }),
      toGateway('shop/gone'),
      toService('shop/a'),
    ],
  });
  const status = statusOf(route, [gatewayOf([{}, { port: 81, hostname: 'b.x' }])]);
  assert.deepEqual(parents(status), [
    ['Accepted True Accepted', RESOLVED],
    ['Accepted False NoMatchingListenerHostname', RESOLVED],
    ['Accepted True Accepted', RESOLVED],
  ]);
  assert.deepEqual(
    status.parents?.map(({ parentRef }) => parentRef),
    route.spec.parentRefs?.toSpliced(2, 1),
  );
  const [first, second] = status.parents ?? [];
  assert.doesNotMatch(first?.conditions?.[0]?.message ?? '', /parentRefs\[1\]/);
  assert.match(second?.conditions?.[0]?.message ?? '', /spec\.parentRefs\[1\]/);
});

test('route: entries of others stay, those of podwire go with their parent', () => {
  const theirs = {
    parentRef: toGateway('shop/gw'),
    controllerName: 'example.com/other',
    conditions: [],
  };
  const before = statusOf(httpRoute(REF), undefined, { status: { parents: [theirs] } });
  assert.deepEqual(before.parents?.[0], theirs);
  assert.equal(before.parents?.[1]?.controllerName, CONTROLLER_NAME);
  const gone = statusOf(httpRoute(REF), [], { status: before });
  assert.deepEqual(gone.parents, [theirs]);
  const twice = { parents: [...(before.parents ?? []), before.parents![1]!] };
  assert.deepEqual(statusOf(httpRoute(REF), undefined, { status: twice }).parents, before.parents);
});

test('route: a namespace, group and kind that are not written out are the same parent', () => {
  const route = httpRoute({ parentRefs: [toService('shop/a')] });
  const raw = { group: '', kind: 'Service', namespace: 'shop', name: 'a' };
  const before = statusOf(route, []);
  const again = statusOf(route, [], {
    status: { parents: before.parents!.map((one) => ({ ...one, parentRef: raw })) },
    now: T2,
  });
  assert.equal(again.parents?.length, 1);
  assert.equal(again.parents[0]?.conditions?.[0]?.lastTransitionTime, T1);
});

test('route: the list is never longer than the API server takes', () => {
  const parentsOfOthers = [...Array(31).keys()].map((index) => ({
    parentRef: toGateway(`shop/g${index}`),
    controllerName: 'example.com/other',
  }));
  const route = httpRoute({ parentRefs: [toService('shop/a'), toService('shop/b')] });
  const status = statusOf(route, [], { status: { parents: parentsOfOthers } });
  assert.equal(status.parents?.length, 32);
});

test('what is the same stays the same; a time changes with the status alone', () => {
  const good = httpRoute(REF);
  const first = statusOf(good);
  assert.ok(equal(statusOf(good, undefined, { status: first, now: T2 }), first));
  const bad = httpRoute({ ...REF, rules: [{ backendRefs: [backend('none')] }] });
  const second = statusOf(bad, undefined, { status: first, now: T2 });
  assert.deepEqual(
    second.parents?.[0]?.conditions?.map((one) => one.lastTransitionTime),
    [T1, T2],
  );
  const worse = httpRoute({ ...REF, rules: [{ backendRefs: [backend('gone')] }] });
  const third = statusOf(worse, undefined, { status: second, now: '2026-01-01T00:00:03Z' });
  assert.equal(third.parents?.[0]?.conditions?.[1]?.lastTransitionTime, T2);
  assert.match(third.parents?.[0]?.conditions?.[1]?.message ?? '', /gone/);
});

test('PartiallyInvalid goes when all is well again', () => {
  const rules = [{ filters: [{ type: 'ExtensionRef' as const }] }, { backendRefs: [backend('a')] }];
  const before = statusOf(httpRoute({ ...REF, rules }));
  const message = before.parents?.[0]?.conditions?.[2]?.message ?? '';
  assert.match(message, /^Dropped Rule 0, .*spec\.rules\[0\]\.filters\[0\]/);
  const after = statusOf(httpRoute(REF), undefined, { status: before });
  assert.deepEqual(parents(after), [['Accepted True Accepted', RESOLVED]]);
});

test('a verdict on another generation than the one that is there is not written', () => {
  const route = { ...httpRoute(REF), generation: 1 };
  const verdict = routeVerdict(route, world(gatewayOf([{}]), route));
  const say = (generation: number): ApiStatus | undefined =>
    apiStatus(
      'HTTPRoute',
      'shop',
      { metadata: { generation }, spec: {} },
      { findings: [], verdict },
      NOBODY,
      T1,
    );
  assert.equal(say(2), undefined);
  assert.equal(say(1)?.parents?.[0]?.conditions?.[0]?.observedGeneration, 1);
});

function gatewayStatus(
  listeners: readonly Partial<GatewayApiListener>[],
  others: readonly Resource[] = [],
  status: ApiStatus = {},
): ApiStatus {
  const gateway = gatewayOf(listeners);
  const { verdict, findings } = gatewayConfig(gateway, world(gateway, ...others));
  const report = { findings, verdict };
  return (
    apiStatus('Gateway', 'shop', { metadata: {}, status }, report, NOBODY, T1) ?? assert.fail()
  );
}

const https = (hostname: string, more: Partial<GatewayApiListener> = {}) => ({
  port: 443,
  protocol: 'HTTPS',
  hostname,
  tls: {
    mode: 'Terminate' as const,
    certificateRefs: [{ group: '', kind: 'Secret', name: 'cert' }],
  },
  ...more,
});
const GOOD = [
  'Accepted True Accepted',
  'Programmed True Programmed',
  RESOLVED,
  'Conflicted False NoConflicts',
];

test('Gateway: listeners by name, with their kinds and how many routes they have', () => {
  const routes = [
    httpRoute({ ...REF, id: 'shop/r1' }),
    httpRoute({ id: 'shop/r2', parentRefs: [toGateway('shop/gw', { sectionName: 'l0' })] }),
  ];
  const status = gatewayStatus([{}, { port: 5432, protocol: 'TCP' }, { port: 81 }], routes);
  assert.deepEqual(short(status.conditions), GOOD.slice(0, 2));
  assert.deepEqual(
    status.listeners?.map(({ name, attachedRoutes, supportedKinds }) => [
      name,
      attachedRoutes,
      supportedKinds.map(({ kind }) => kind).join(),
    ]),
    [
      ['l0', 2, 'HTTPRoute,GRPCRoute'],
      ['l1', 0, 'TCPRoute'],
      ['l2', 1, 'HTTPRoute,GRPCRoute'],
    ],
  );
  for (const { conditions } of status.listeners ?? []) assert.deepEqual(short(conditions), GOOD);
});

test('Gateway: routes that are in each other’s way are attached all the same', () => {
  const ref = { parentRefs: [toGateway('shop/gw')] };
  const status = gatewayStatus(
    [{}],
    [httpRoute({ ...ref, createdAt: 1 }), grpcRoute({ ...ref, createdAt: 2 })],
  );
  assert.equal(status.listeners?.[0]?.attachedRoutes, 2);
});

const BAD: readonly (readonly [
  string,
  readonly Partial<GatewayApiListener>[],
  readonly string[],
  readonly string[],
])[] = [
  [
    'a protocol that is not served',
    [{}, { port: 81, protocol: 'UDP' }],
    ['Accepted True ListenersNotValid', 'Programmed True Programmed'],
    [
      'Accepted False UnsupportedProtocol',
      'Programmed False Invalid',
      RESOLVED,
      'Conflicted False NoConflicts',
    ],
  ],
  [
    'two of one host name',
    [{}, {}],
    ['Accepted False ListenersNotValid', 'Programmed False Invalid'],
    [
      'Accepted False HostnameConflict',
      'Programmed False Invalid',
      RESOLVED,
      'Conflicted True HostnameConflict',
    ],
  ],
  [
    'no certificate',
    [{}, https('a.x')],
    ['Accepted True Accepted', 'Programmed True Programmed'],
    [
      'Accepted True Accepted',
      'Programmed False Invalid',
      'ResolvedRefs False InvalidCertificateRef',
      'Conflicted False NoConflicts',
    ],
  ],
  [
    'a certificate of another namespace',
    [
      {},
      https('a.x', {
        tls: {
          mode: 'Terminate',
          certificateRefs: [{ group: '', kind: 'Secret', name: 'cert', namespace: 'other' }],
        },
      }),
    ],
    ['Accepted True Accepted', 'Programmed True Programmed'],
    [
      'Accepted True Accepted',
      'Programmed False Invalid',
      'ResolvedRefs False RefNotPermitted',
      'Conflicted False NoConflicts',
    ],
  ],
];
for (const [name, listeners, own, second] of BAD) {
  test(`Gateway: ${name}`, () => {
    const status = gatewayStatus(listeners);
    assert.deepEqual(short(status.conditions), own);
    assert.deepEqual(short(status.listeners?.[1]?.conditions), second);
    for (const one of status.listeners?.[1]?.conditions ?? []) {
      if (one.status === (one.type === 'Conflicted' ? 'True' : 'False')) {
        assert.notEqual(one.message, '', one.type);
      }
    }
  });
}

test('Gateway: HTTPS listeners whose host names meet say so, until they no longer do', () => {
  const cert = secret('shop/cert');
  const overlaps = (status: ApiStatus): string[] =>
    (status.listeners ?? []).map(
      ({ conditions }) =>
        conditions?.find(({ type }) => type === 'OverlappingTLSConfig')?.message ?? '',
    );
  const before = gatewayStatus([https('*.x'), https('a.x'), https('b.y')], [cert]);
  assert.deepEqual(overlaps(before), [
    'host names in common with: l1',
    'host names in common with: l0',
    '',
  ]);
  const after = gatewayStatus([https('*.x'), https('a.z'), https('b.y')], [cert], before);
  assert.deepEqual(overlaps(after), ['', '', '']);
});

test('what validation has refused says so where it is podwire’s, and nowhere else', () => {
  const findings: Finding[] = [
    {
      code: 'REGEX_INVALID',
      severity: 'error',
      file: '',
      resource: 'HTTPRoute shop/r',
      path: 'spec.rules[0]',
      message: 'is no RE2',
      fix: 'mend it',
    },
  ];
  const report = { findings, verdict: undefined };
  const ours = {
    ownsClass: (name: string) => name === 'ours',
    ownsParent: ({ kind, name }: { kind: string; name: string }) =>
      kind === 'Gateway' && name === 'ours',
  };
  const say = (kind: string, spec: NonNullable<ApiObject['spec']>): ApiStatus | undefined =>
    apiStatus(kind, 'shop', { metadata: { generation: 4 }, spec }, report, ours, T1);
  const route = say('HTTPRoute', { parentRefs: [{ name: 'theirs' }, { name: 'ours' }] });
  assert.deepEqual(
    route?.parents?.map(({ parentRef: { name } }) => name),
    ['ours'],
  );
  assert.deepEqual(parents(route), [['Accepted False UnsupportedValue']]);
  assert.match(route.parents?.[0]?.conditions?.[0]?.message ?? '', /REGEX_INVALID spec\.rules/);
  assert.deepEqual(short(say('Gateway', { gatewayClassName: 'ours' })?.conditions), [
    'Accepted False Invalid',
    'Programmed False Invalid',
  ]);
  assert.equal(say('Gateway', { gatewayClassName: 'theirs' }), undefined);
  assert.deepEqual(short(say('GatewayClass', { controllerName: CONTROLLER_NAME })?.conditions), [
    'Accepted False Unsupported',
  ]);
  assert.equal(say('GatewayClass', { controllerName: 'example.com/other' }), undefined);
});

test('another controller’s Gateway gets nothing', () => {
  const verdict = { kind: 'foreign', origin: 'f', generation: 1 } as const;
  const object = { metadata: { generation: 1 } };
  assert.equal(
    apiStatus('Gateway', 'shop', object, { findings: [], verdict }, NOBODY, T1),
    undefined,
  );
});

test('features are sorted, as the API demands', () => {
  const names = SUPPORTED_FEATURES.map(({ name }) => name);
  assert.deepEqual(names, names.toSorted());
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length <= 64);
});
