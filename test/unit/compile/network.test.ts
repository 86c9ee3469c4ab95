/** Which pairs of pods NetworkPolicies let talk: against a direct reading of the specification. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  compileNetwork,
  type NetworkPod,
  type NetworkRules,
} from '../../../src/compile/kernel/network.ts';
import {
  intersectPorts,
  portPrefixes,
  unionPorts,
  type PortPrefix,
  type PortRange,
} from '../../../src/compile/kernel/port-ranges.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';
import { parseIp } from '../../../src/model/ip.ts';
import type { NetworkPolicyResource } from '../../../src/model/resource.ts';

function pod(
  name: string,
  labels: Record<string, string> = {},
  more: Partial<NetworkPod> = {},
): NetworkPod {
  const last = name.charCodeAt(0);
  return {
    uid: name,
    namespace: 'shop',
    labels: new Map(Object.entries({ app: name, ...labels })),
    namespaceLabels: new Map([['kubernetes.io/metadata.name', 'shop']]),
    ports: [{ name: 'web', port: 8080 }],
    addresses: [parseIp(`10.0.0.${last}`)!, parseIp(`fd00::${last}`)!],
    ...more,
  };
}

function read(spec: unknown, namespace = 'shop') {
  return validateDocument(
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'p', namespace },
      spec,
    },
    'f.yaml',
  );
}

function policy(spec: unknown, namespace = 'shop'): NetworkPolicyResource {
  const { resources, findings } = read(spec, namespace);
  assert.deepEqual(findings, []);
  return resources[0] as NetworkPolicyResource;
}

function covers(prefixes: readonly PortPrefix[], port: number): boolean {
  return prefixes.some(({ port: base, bits }) => port >> (16 - bits) === base >> (16 - bits));
}

function allows({ isolated, pairs }: NetworkRules, from: string, to: string, port = 80): boolean {
  if (!isolated.get(from)?.egress && !isolated.get(to)?.ingress) return true;
  return pairs.some(
    ({ source, destination, ports }) =>
      source === from && destination === to && covers(ports, port),
  );
}

const [a, b, c] = [pod('a'), pod('b'), pod('c', { tier: 'back' })];
const PODS = [a, b, c];

test('without a policy that selects them, pods talk', () => {
  const rules = compileNetwork(PODS, [policy({ podSelector: { matchLabels: { app: 'b' } } })]);
  assert.equal(allows(rules, 'a', 'c'), true);
  assert.equal(allows(rules, 'b', 'c'), true, 'ingress is isolated, egress is not');
  assert.equal(allows(rules, 'a', 'b'), false, 'default deny');
});

test('policyTypes: by default ingress, and egress where there are rules', () => {
  const onlyEgress = compileNetwork(PODS, [policy({ policyTypes: ['Egress'] })]);
  assert.deepEqual(onlyEgress.isolated.get('a'), { ingress: false, egress: true });
  const both = compileNetwork(PODS, [policy({ egress: [{}] })]);
  assert.deepEqual(both.isolated.get('a'), { ingress: true, egress: true });
  assert.equal(allows(both, 'a', 'b'), false);
});

test('both sides must allow', () => {
  const ingress = policy({ podSelector: { matchLabels: { app: 'b' } }, ingress: [{}] });
  assert.equal(allows(compileNetwork(PODS, [ingress]), 'a', 'b'), true);
  const egress = policy({
    podSelector: { matchLabels: { app: 'a' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ podSelector: { matchLabels: { app: 'c' } } }] }],
  });
  const rules = compileNetwork(PODS, [ingress, egress]);
  assert.deepEqual([allows(rules, 'a', 'b'), allows(rules, 'a', 'c')], [false, true]);
  assert.equal(allows(rules, 'c', 'b'), true);
});

test('selectors of pods, of namespaces, of both', () => {
  const other = pod(
    'd',
    { tier: 'back' },
    { namespace: 'other', namespaceLabels: new Map([['team', 'x']]) },
  );
  const to = (from: unknown) =>
    compileNetwork(
      [...PODS, other],
      [policy({ podSelector: { matchLabels: { app: 'b' } }, ingress: [{ from: [from] }] })],
    );
  const back = {
    podSelector: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['back'] }] },
  };
  assert.deepEqual(
    ['a', 'c', 'd'].map((name) => allows(to(back), name, 'b')),
    [false, true, false],
  );
  const team = { namespaceSelector: { matchLabels: { team: 'x' } } };
  assert.deepEqual(
    ['a', 'c', 'd'].map((name) => allows(to(team), name, 'b')),
    [false, false, true],
  );
  const everywhere = { namespaceSelector: {}, ...back };
  assert.deepEqual(
    ['a', 'c', 'd'].map((name) => allows(to(everywhere), name, 'b')),
    [false, true, true],
  );
  const not = { podSelector: { matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] } };
  assert.deepEqual(
    ['a', 'c'].map((name) => allows(to(not), name, 'b')),
    [true, false],
  );
});

test('ipBlock with exceptions, for every family that both have', () => {
  const to = (...blocks: unknown[]) =>
    compileNetwork(PODS, [
      policy({
        podSelector: { matchLabels: { app: 'b' } },
        ingress: [{ from: blocks.map((ipBlock) => ({ ipBlock })) }],
      }),
    ]);
  const v4 = { cidr: '10.0.0.0/8', except: ['10.0.0.99/32'] };
  const v6 = { cidr: 'fd00::/8' };
  assert.equal(allows(to(v4), 'a', 'b'), false, 'IPv6 is not allowed');
  assert.deepEqual(
    ['a', 'c'].map((name) => allows(to(v4, v6), name, 'b')),
    [true, false],
  );
});

test('ports: numbers, names of the destination, ranges, other protocols', () => {
  const to = (ports: unknown) =>
    compileNetwork(PODS, [
      policy({ podSelector: { matchLabels: { app: 'b' } }, ingress: [{ ports }] }),
    ]);
  const open = (ports: unknown, ...asked: number[]) =>
    asked.filter((port) => allows(to(ports), 'a', 'b', port));
  assert.deepEqual(open([{ port: 80 }], 79, 80, 81), [80]);
  assert.deepEqual(open([{ port: 'web' }], 80, 8080), [8080]);
  assert.deepEqual(open([{ port: 'nobody' }], 80, 8080), []);
  assert.deepEqual(
    open([{ port: 1000, endPort: 1002 }], 999, 1000, 1001, 1002, 1003),
    [1000, 1001, 1002],
  );
  assert.deepEqual(open([{ protocol: 'UDP', port: 53 }], 53), []);
  assert.deepEqual(open([{ protocol: 'TCP' }], 1, 65_535), [1, 65_535]);
});

test('one that cannot be read isolates its namespace', () => {
  for (const spec of [
    { ingress: [{ from: [{ colour: 'green' }] }] },
    { podSelector: { matchLabels: { app: 'b' } }, ingress: [{ ports: [{ port: 70_000 }] }] },
    { ingress: [{ from: [{ ipBlock: { cidr: 'ten' } }] }] },
    { policyTypes: ['Sideways'] },
    'text',
  ]) {
    const { resources, findings } = read(spec);
    assert.ok(findings.length > 0, JSON.stringify(spec));
    const rules = compileNetwork(PODS, [resources[0] as NetworkPolicyResource]);
    assert.equal(allows(rules, 'a', 'b'), false, JSON.stringify(spec));
  }
});

const range = fc
  .tuple(fc.nat(65_535), fc.nat(65_535))
  .map(([x, y]): PortRange => [Math.min(x, y), Math.max(x, y)]);

test('sets of ports, and their prefixes, hold what they should', () => {
  const has = (ranges: readonly PortRange[], port: number) =>
    ranges.some(([first, last]) => port >= first && port <= last);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), fc.array(range, { maxLength: 4 }), (x, y) => {
      const both = intersectPorts(unionPorts(x), unionPorts(y));
      const prefixes = portPrefixes(both);
      assert.ok(prefixes.length <= 30 * both.length);
      const edges = [...x, ...y].flat().flatMap((port) => [port - 1, port, port + 1]);
      for (const port of [0, 65_535, ...edges]) {
        if (port < 0 || port > 65_535) continue;
        const expected = has(x, port) && has(y, port);
        assert.equal(has(both, port), expected);
        assert.equal(covers(prefixes, port), expected, `${port} of ${JSON.stringify(both)}`);
      }
    }),
  );
});
