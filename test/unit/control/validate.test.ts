/**
 * Bad input: each case is findings that name file, resource and field, and everything else still applies.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pod, read } from './temporary-folder.ts';

const good = pod('good', '10.0.0.100');

function service(spec: string, metadata = ''): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop${metadata} }
spec:
  selector: { app: good }
${spec}`;
}

const annotated = (annotation: string): string =>
  pod('bad', '10.0.0.1', { metadata: `annotations: { ${annotation} }` });

interface Case {
  readonly name: string;
  readonly yaml: string;
  /** code | resource | path */
  readonly findings: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: 'YAML that does not parse',
    yaml: 'kind: Pod\n metadata: [',
    findings: ['YAML_INVALID |  | '],
  },
  {
    name: 'a key twice',
    yaml: 'kind: Pod\nkind: Pod\n',
    findings: ['YAML_INVALID |  | '],
  },
  {
    name: 'no mapping',
    yaml: '- 1\n',
    findings: ['FIELD_INVALID |  | '],
  },
  {
    name: 'no kind',
    yaml: 'apiVersion: v1\n',
    findings: ['FIELD_MISSING |  | kind'],
  },
  {
    name: 'unknown kind',
    yaml: 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: x }\n',
    findings: ['KIND_UNKNOWN | Deployment default/x | kind'],
  },
  {
    name: 'a kind of the same name in another group',
    yaml: 'apiVersion: policy.linkerd.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: x }\n',
    findings: ['KIND_UNKNOWN | AuthorizationPolicy default/x | kind'],
  },
  {
    name: 'no name',
    yaml: 'apiVersion: v1\nkind: Pod\nmetadata: {}\n',
    findings: ['FIELD_MISSING | Pod default/? | metadata.name'],
  },
  {
    name: 'pod without address',
    yaml: 'apiVersion: v1\nkind: Pod\nmetadata: { name: bad }\n',
    findings: ['POD_NO_ADDRESS | Pod default/bad | status.podIPs'],
  },
  {
    name: 'pod with an address that is none',
    yaml: pod('bad', '10.0.0.256'),
    findings: ['FIELD_INVALID | Pod shop/bad | status.podIPs[0].ip'],
  },
  {
    name: 'Service port out of range',
    yaml: service('  ports: [{ name: a, port: 80 }, { name: b, port: 65536 }]'),
    findings: ['FIELD_INVALID | Service shop/web | spec.ports[1].port'],
  },
  {
    name: 'Service with a port that is no number',
    yaml: service('  ports: [{ port: "80" }]'),
    findings: ['FIELD_INVALID | Service shop/web | spec.ports[0].port'],
  },
  {
    name: 'Service with one port twice',
    yaml: service('  ports: [{ name: a, port: 80 }, { name: b, port: 80 }]'),
    findings: ['FIELD_INVALID | Service shop/web | spec.ports[1].port'],
  },
  {
    name: 'target port out of range',
    yaml: service('  ports: [{ port: 80, targetPort: 0 }]'),
    findings: ['FIELD_INVALID | Service shop/web | spec.ports[0].targetPort'],
  },
  {
    name: 'named target port that no container has',
    yaml: service('  ports: [{ port: 80, targetPort: http }]'),
    findings: ['TARGET_PORT_UNKNOWN | Service shop/web | spec.ports'],
  },
  {
    name: 'cluster address that is none',
    yaml: service('  clusterIP: ten\n  ports: [{ port: 80 }]'),
    findings: ['FIELD_INVALID | Service shop/web | spec.clusterIP'],
  },
  {
    name: 'balancer that does not exist',
    yaml: service('  ports: [{ port: 80 }]', ', annotations: { podwire.io/lb: fastest }'),
    findings: ["ANNOTATION_INVALID | Service shop/web | metadata.annotations.'podwire.io/lb'"],
  },
  {
    name: 'selector that matches nothing',
    yaml: service('  ports: [{ port: 80 }]').replace('app: good', 'app: nobody'),
    findings: ['SELECTOR_MATCHES_NOTHING | Service shop/web | spec.selector'],
  },
  ...['../host', 'a/b', '..', '', 'a b', 'ä'].map((netns) => ({
    name: `network namespace named ${JSON.stringify(netns)}`,
    yaml: annotated(`podwire.io/netns: ${JSON.stringify(netns)}`),
    findings: ["NETNS_INVALID | Pod shop/bad | metadata.annotations.'podwire.io/netns'"],
  })),
  ...['sometimes', 'always,never', '8080=', '0=never', '80=never,80=always', 'x=never', ''].map(
    (splice) => ({
      name: `splice annotation ${JSON.stringify(splice)}`,
      yaml: annotated(`podwire.io/splice: ${JSON.stringify(splice)}`),
      findings: ["ANNOTATION_INVALID | Pod shop/bad | metadata.annotations.'podwire.io/splice'"],
    }),
  ),
  {
    name: 'capture annotation',
    yaml: annotated('podwire.io/capture: iptables'),
    findings: ["ANNOTATION_INVALID | Pod shop/bad | metadata.annotations.'podwire.io/capture'"],
  },
  {
    name: 'weight annotation',
    yaml: annotated('podwire.io/weight: "-1"'),
    findings: ["ANNOTATION_INVALID | Pod shop/bad | metadata.annotations.'podwire.io/weight'"],
  },
  {
    name: 'annotation with a spelling mistake',
    yaml: annotated('podwire.io/splize: never'),
    findings: ["ANNOTATION_UNKNOWN | Pod shop/bad | metadata.annotations.'podwire.io/splize'"],
  },
  {
    name: 'EndpointSlice with an address that is none',
    yaml: `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: [{ addresses: [10.0.0.100] }, { addresses: [web] }]
ports: [{ port: 80 }]
---
${service('  ports: [{ port: 80 }]')}`,
    findings: ['FIELD_INVALID | EndpointSlice shop/web-1 | endpoints[1].addresses[0]'],
  },
  {
    name: 'EndpointSlice of no Service',
    yaml: `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: []
`,
    findings: [
      "SERVICE_UNKNOWN | EndpointSlice shop/web-1 | metadata.labels['kubernetes.io/service-name']",
    ],
  },
  {
    name: 'PeerAuthentication of the root namespace with a selector',
    yaml: `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: strict, namespace: istio-system }
spec: { selector: { matchLabels: { app: web } }, mtls: { mode: STRICT } }
`,
    findings: ['FIELD_UNUSED | PeerAuthentication istio-system/strict | spec.selector'],
  },
];

for (const { name, yaml, findings } of cases) {
  test(`one finding, the rest applies: ${name}`, async (t) => {
    const watched = await read(t, { 'bad.yaml': yaml, 'good.yaml': good });
    const found = watched.findings.map((line) => line.replace(' | bad.yaml |', ' |'));
    assert.deepEqual(found, findings);
    for (const { message, fix } of watched.last!.findings) {
      assert.ok(message !== '' && fix !== '', 'a finding says what is wrong and what to do');
    }
    assert.ok(watched.workload('shop/good'));
  });
}

test('two pods with one address: both are named, the first by name wins', async (t) => {
  const watched = await read(t, {
    'a.yaml': pod('second', '10.0.0.1'),
    'b.yaml': pod('first', '10.0.0.1'),
  });
  assert.deepEqual(watched.workloads, ['shop/first']);
  assert.deepEqual(watched.findings, [
    'ADDRESS_CONFLICT | a.yaml | Pod shop/second | status.podIPs',
  ]);
  assert.match(watched.last!.findings[0]!.message, /10\.0\.0\.1.*Pod shop\/first.*b\.yaml/);
});

test('an address is one address in whatever form', async (t) => {
  const watched = await read(t, {
    'a.yaml': pod('first', '10.0.0.1'),
    'b.yaml': pod('second', '::ffff:10.0.0.1'),
  });
  assert.deepEqual(watched.codes, ['ADDRESS_CONFLICT']);
});

test("pods of the node's own network share its address rightly", async (t) => {
  const spec = 'hostNetwork: true';
  const watched = await read(t, {
    'a.yaml': pod('a', '192.168.0.1', { spec }),
    'b.yaml': pod('b', '192.168.0.1', { spec }),
  });
  assert.deepEqual(watched.codes, []);
  assert.deepEqual(watched.workloads, ['shop/a', 'shop/b']);
  assert.equal(watched.workload('shop/a')!.hostNetwork, true);
});

test('two pods in one network namespace: the second is in the mesh and not enrolled', async (t) => {
  const metadata = 'annotations: { podwire.io/netns: n1 }';
  const watched = await read(t, {
    'a.yaml': pod('a', '10.0.0.1', { metadata }) + '---' + pod('b', '10.0.0.2', { metadata }),
  });
  assert.deepEqual(watched.codes, ['NETNS_CONFLICT']);
  assert.deepEqual(watched.workloads, ['shop/a', 'shop/b']);
  assert.deepEqual(
    watched.last!.enrolled.map(({ uid, netnsPath }) => [uid, netnsPath]),
    [['Kubernetes//Pod/shop/a', '/run/netns/n1']],
  );
});

test('one resource in two files: the first file counts', async (t) => {
  const watched = await read(t, { 'a.yaml': pod('a', '10.0.0.1'), 'b.yaml': pod('a', '10.0.0.2') });
  assert.deepEqual(watched.findings, ['RESOURCE_DUPLICATE | b.yaml | Pod shop/a | metadata.name']);
  assert.deepEqual(watched.workload('shop/a')!.addresses, ['10.0.0.1']);
});

test('two Services at one address: the second is left out', async (t) => {
  const web = service('  clusterIP: 10.96.0.1\n  ports: [{ port: 80 }]');
  const watched = await read(t, {
    'a.yaml': web,
    'b.yaml': web.replace('name: web', 'name: zeb'),
    'good.yaml': good,
  });
  assert.deepEqual(watched.findings, [
    'ADDRESS_CONFLICT | b.yaml | Service shop/zeb | spec.clusterIP',
  ]);
  assert.ok(watched.service('shop/web'));
  assert.equal(watched.service('shop/zeb'), undefined);
});

test('annotations of enrolled pods', async (t) => {
  const enrolled = (name: string, ip: string, more: string) =>
    pod(name, ip, { metadata: `annotations: { podwire.io/netns: ${name}, ${more} }` });
  const watched = await read(t, {
    'a.yaml': enrolled('a', '10.0.0.1', 'podwire.io/splice: "never, 8080=always,9090=observe"'),
    'b.yaml': enrolled('b', '10.0.0.2', 'podwire.io/capture: proxy'),
    'c.yaml': enrolled('c', '10.0.0.3', 'podwire.io/splice: sometimes'),
    'd.yaml': enrolled('d', '10.0.0.4', 'istio.io/dataplane-mode: none'),
    'e.yaml': enrolled('e', '10.0.0.5', 'podwire.io/weight: 5'),
  });
  const [a, b, c, e] = watched.last!.enrolled;
  assert.deepEqual(
    [a!.splice, [...a!.portModes]],
    [
      'never',
      [
        [8080, 'always'],
        [9090, 'observe'],
      ],
    ],
  );
  assert.deepEqual([b!.captureProxy, b!.splice], [true, 'default']);
  assert.equal(c!.splice, 'never', 'a mode that cannot be read is no licence to splice');
  assert.equal(e!.name, 'e', 'dataplane-mode none is not enrolled');
  assert.equal(watched.workload('shop/e')!.capacity, 5);
});

test('a List is taken apart', async (t) => {
  const items = [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')]
    .map((text) => `- ${text.trim().replace(/\n/g, '\n  ')}`)
    .join('\n');
  const watched = await read(t, { 'a.yml': `apiVersion: v1\nkind: List\nitems:\n${items}\n` });
  assert.deepEqual(watched.workloads, ['shop/a', 'shop/b']);
});

test('aliases that explode are refused', async (t) => {
  const lines = ['a0: &a0 [x, x]'];
  for (let i = 1; i < 30; i++) lines.push(`a${i}: &a${i} [*a${i - 1}, *a${i - 1}]`);
  const watched = await read(t, { 'bomb.yaml': lines.join('\n'), 'good.yaml': good });
  assert.deepEqual(watched.codes, ['YAML_INVALID']);
  assert.ok(watched.workload('shop/good'));
});

test('text nested a hundred thousand deep is refused', async (t) => {
  const watched = await read(t, { 'deep.yaml': '['.repeat(100_000), 'good.yaml': good });
  assert.deepEqual(watched.codes, ['YAML_INVALID']);
});

test('names of the language are no fields', async (t) => {
  const yaml = 'apiVersion: v1\nkind: constructor\nmetadata: { name: __proto__ }\n';
  const watched = await read(t, { 'a.yaml': yaml, 'good.yaml': good });
  assert.deepEqual(watched.codes, ['KIND_UNKNOWN']);
});
