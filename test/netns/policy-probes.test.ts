/**
 * The kubelet reaches declared probe ports of closed pods; nobody else of the node does, whatever address he has: a NodePort
 * client that is masqueraded to the node's address, a process of the host on another port, a pod of the host's network.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { podResource, startAgent, type Agent, type Resource } from '../support/agent.ts';
import { Asker, serveByte } from '../support/asker.ts';
import { createMesh, type Pod } from '../support/netns.ts';
import { command, skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { fromAccounts, policy } from '../support/resources.ts';

const skip = skipReason('iptables');
const [APP, LIVE, READY, STARTED, INIT, HOOK, GRPC] = [8080, 9001, 9002, 9003, 9004, 9005, 9006];
const PROBES = [LIVE, READY, STARTED, INIT, HOOK, GRPC];
const ELSEWHERE = 9099;
const NODE_PORT = 30_080;

/** What STRICT says, and nobody but pods that are not there is allowed. */
const CLOSED: readonly Resource[] = [
  policy({
    name: 'strict',
    action: 'DENY',
    rules: [{ from: [{ source: { notPrincipals: ['*'] } }] }],
  }),
  policy({ name: 'closed', app: 'server', rules: [fromAccounts('nobody', 'on-host')] }),
];

function probed(pod: Pod): Resource {
  const resource = podResource(pod) as Readonly<Record<string, Resource>>;
  const spec = resource['spec'] as { containers: Resource[] };
  return {
    ...resource,
    spec: {
      ...spec,
      containers: [
        {
          ...spec.containers[0],
          ports: [
            { name: 'http', containerPort: APP },
            { name: 'ready', containerPort: READY },
          ],
          livenessProbe: { httpGet: { path: '/', port: LIVE } },
          readinessProbe: { tcpSocket: { port: 'ready' } },
          startupProbe: { httpGet: { path: '/', port: STARTED } },
          lifecycle: { preStop: { httpGet: { path: '/', port: HOOK } } },
        },
        {
          name: 'second',
          image: 'second:test',
          livenessProbe: { grpc: { port: GRPC } },
          readinessProbe: { httpGet: { host: '127.0.0.1', port: ELSEWHERE } },
          startupProbe: { exec: { command: ['true'] } },
        },
      ],
      initContainers: [
        { name: 'init', image: 'i:test', readinessProbe: { tcpSocket: { port: INIT } } },
      ],
    },
  };
}

interface Denied {
  readonly address: string;
  readonly identity: unknown;
  readonly policy: unknown;
  readonly rule: unknown;
}

function lastDenial(agent: Agent, to: string): Denied | undefined {
  const line = agent.log.findLast(
    (one) => one['msg'] === 'connection failed' && one['dst.addr'] === to,
  );
  return (
    line && {
      address: String(line['src.addr']).replace(/:\d+$/, ''),
      identity: line['src.identity'],
      policy: line['policy'],
      rule: line['rule'],
    }
  );
}

test('probes of a closed pod', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'server' },
      { name: 'client', labels: { 'istio.io/dataplane-mode': 'none' } },
      { name: 'alice' },
    ],
  });
  const { node } = mesh;
  const [server, client] = [mesh.pod('server'), mesh.pod('client')];
  await serveByte(mesh, server, [APP, ...PROBES, ELSEWHERE]);
  const agent = await startAgent({ mesh, node });
  agent.writeResource('mesh.yaml', [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } },
    ...mesh.pods.map((pod) => (pod === server ? probed(pod) : podResource(pod))),
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'on-host', namespace: 'default', labels: { app: 'on-host' } },
      spec: { hostNetwork: true, serviceAccountName: 'on-host', containers: [{ name: 'main' }] },
      status: { phase: 'Running', podIP: node.v4, podIPs: [{ ip: node.v4 }] },
    },
    ...CLOSED,
  ]);
  const host = await Asker.start(mesh, node);
  const outside = await Asker.start(mesh, client);
  await until('closed', async () => (await outside.one(server.v4, APP)) === 'R');

  await t.test('the node reaches every declared probe port, and counts it', async () => {
    await until('the probes', async () => (await host.one(server.v4, LIVE)) === 'A');
    for (const port of PROBES) assert.equal(await host.one(server.v4, port), 'A', String(port));
    assert.ok(((await agent.counters())['probes'] ?? 0) >= PROBES.length);
  });

  await t.test('and no other one: it is a client without identity', async () => {
    assert.equal(await host.one(server.v4, APP), 'R');
    // the outside was refused there before
    const denied = await until('the line', () => {
      const last = lastDenial(agent, `${server.v4}:${APP}`);
      return last?.address === node.v4 && last;
    });
    assert.deepEqual(denied, {
      address: node.v4,
      identity: undefined,
      policy: 'default/strict',
      rule: '0',
    });
    assert.equal(await host.one(server.v4, ELSEWHERE), 'R', 'the probe of another host');
  });

  await t.test('nobody else reaches the probe ports', async () => {
    const alice = await Asker.start(mesh, mesh.pod('alice'));
    for (const port of PROBES) {
      assert.equal(await outside.one(server.v4, port), 'R', `outside, ${port}`);
      assert.equal(await alice.one(server.v4, port), 'R', `alice, ${port}`);
    }
  });

  await t.test('a NodePort client masqueraded to the node’s address is refused', async () => {
    const inNode = (...args: readonly string[]): string =>
      command('nsenter', [`--net=${node.netnsPath}`, '--', ...args]);
    const nat = (...rule: readonly string[]): string =>
      inNode('iptables', '-t', 'nat', '-A', ...rule);
    inNode('sysctl', '-qw', 'net.ipv4.ip_forward=1');
    const dialled = ['-d', node.v4, '-p', 'tcp', '--dport', String(NODE_PORT)];
    nat('PREROUTING', ...dialled, '-j', 'DNAT', '--to-destination', `${server.v4}:${LIVE}`);
    nat('POSTROUTING', '-s', client.v4, '-d', server.v4, '-j', 'MASQUERADE');
    const before = (await agent.counters())['denied.policy'] ?? 0;
    assert.equal(await outside.one(node.v4, NODE_PORT), 'R');
    assert.ok(((await agent.counters())['denied.policy'] ?? 0) > before, 'it never came');
    const denied = await until('the line', () => {
      const line = lastDenial(agent, `${server.v4}:${LIVE}`);
      return line?.address === node.v4 ? line : undefined;
    });
    assert.equal(denied.identity, undefined);
    assert.equal(await host.one(server.v4, LIVE), 'A', 'the kubelet still gets through');
  });

  await t.test('a probe that is no longer declared is refused', async () => {
    agent.writeResource('mesh.yaml', [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } },
      ...mesh.pods.map(podResource),
      ...CLOSED,
    ]);
    await until('refused', async () => (await host.one(server.v4, LIVE)) === 'R');
  });
});
