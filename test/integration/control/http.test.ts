/**
 * Rules on requests from a folder, through podwire control and gRPC, to the stores of three machines' agents.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { KeyObject } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { JoinRegistry } from '../../../src/control/auth/join-registry.ts';
import type { Delta } from '../../../src/model/messages.ts';
import { newRequest, temporaryDirectory } from '../../support/certificates.ts';
import { selfSigned } from '../../support/certificate.ts';
import { startControl } from '../../support/control.ts';
import { serverAt, startClient, type ClientUnderTest } from '../../support/xds-client.ts';
import { CertificateClient } from './certification-fixture.ts';

const pod = (path: string, node: string, ip: string, labels: string): string => {
  const [namespace, name] = path.split('/');
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { ${labels} } }
spec: { nodeName: ${node}, containers: [{ name: main, image: 'example/main:1' }] }
status: { podIPs: [{ ip: ${ip} }] }
`;
};
const service = (path: string, ip: string, port: number): string => {
  const [namespace, name] = path.split('/');
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { clusterIP: ${ip}, selector: { app: ${name} }, ports: [{ name: http, port: ${port} }] }
`;
};
const istio = (group: string, kind: string, path: string, spec: string): string => {
  const [namespace, name] = path.split('/');
  return `
apiVersion: ${group}.istio.io/v1
kind: ${kind}
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
};
const canary = (v1: number): string =>
  istio(
    'networking',
    'VirtualService',
    'shop/reviews',
    `{ hosts: [reviews], http: [{ route: [
      { destination: { host: reviews, subset: v1 }, weight: ${v1} },
      { destination: { host: reviews, subset: v2 }, weight: ${100 - v1} } ] }] }`,
  );

function mesh(): string {
  const { cert: certificate, key } = selfSigned();
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return [
    pod('shop/page', 'n1', '10.0.1.1', 'app: page'),
    pod('shop/reviews-1', 'n1', '10.0.1.2', 'app: reviews, version: v1'),
    pod('shop/reviews-2', 'n4', '10.0.1.3', 'app: reviews, version: v2'),
    service('shop/page', '10.1.0.1', 9080),
    service('shop/reviews', '10.1.0.2', 9080),
    istio(
      'networking',
      'DestinationRule',
      'shop/reviews',
      `{ host: reviews, trafficPolicy: { outlierDetection: { consecutive5xxErrors: 3 } }, subsets: [
        { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } } ] }`,
    ),
    istio(
      'security',
      'AuthorizationPolicy',
      'shop/read',
      `{ selector: { matchLabels: { app: reviews } }, action: ALLOW,
         rules: [{ to: [{ operation: { methods: [GET] } }] }] }`,
    ),
    istio(
      'security',
      'RequestAuthentication',
      'shop/tokens',
      `{ selector: { matchLabels: { app: reviews } },
         jwtRules: [{ issuer: me, jwksUri: 'https://keys.example/jwks' }] }`,
    ),
    `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: page, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: page }]
  rules: [{ matches: [{ path: { value: /reviews } }], backendRefs: [{ name: reviews, port: 9080 }] }]
`,
    pod('bank/ledger', 'n2', '10.0.2.1', 'app: ledger'),
    service('bank/ledger', '10.1.0.3', 8080),
    istio(
      'networking',
      'VirtualService',
      'bank/ledger',
      "{ hosts: [ledger], exportTo: ['.'], http: [{ timeout: 3s, route: [{ destination: { host: ledger } }] }] }",
    ),
    pod('edge/gw', 'n3', '10.0.3.1', 'istio: gateway'),
    istio(
      'networking',
      'Gateway',
      'edge/main',
      `{ selector: { istio: gateway }, servers: [{ hosts: ['*'], tls: { mode: SIMPLE, credentialName: cert },
         port: { number: 443, name: https, protocol: HTTPS } }] }`,
    ),
    istio(
      'networking',
      'VirtualService',
      'edge/web',
      `{ hosts: [web.example], gateways: [main],
         http: [{ route: [{ destination: { host: page.shop.svc.cluster.local } }] }] }`,
    ),
    `
apiVersion: v1
kind: Secret
metadata: { name: cert, namespace: edge }
type: kubernetes.io/tls
data: { tls.crt: ${base64(certificate)}, tls.key: ${base64(key)} }
`,
  ].join('---');
}

interface Place {
  readonly state: string;
  readonly config: string;
  readonly address: string;
}

/** The agent of a machine that joined by token; its certificate is shown by a relay, as agents' own channels show tokens. */
async function agentOn(t: TestContext, node: string, at: Place): Promise<ClientUnderTest> {
  const stored = await readFile(join(at.state, 'ca', 'roots-00000001.json'), 'utf8');
  const found = /-----BEGIN CERTIFICATE-----[^"]+?-----END CERTIFICATE-----/.exec(stored);
  const ca = `${found?.[0].replaceAll('\\n', '\n') ?? ''}\n`;
  const registry = await JoinRegistry.open(join(at.state, 'join'));
  const token = await registry.create({ name: node, identities: [], ttlMs: 60_000 });
  const client = new CertificateClient(at.address, ca);
  const request = await newRequest();
  const { chain, error } = await client.ask(request.pem, { token });
  client.close();
  assert.equal(error, undefined);
  const key = KeyObject.from(request.privateKey).export({ format: 'pem', type: 'pkcs8' });
  const cert = chain.slice(0, -1).join('');
  const [host, port] = at.address.split(':');
  const relay = createServer((socket) => {
    const tls = { ca, cert, key, ALPNProtocols: ['h2'], servername: 'localhost' };
    const upstream = connect({ host: host!, port: Number(port), ...tls });
    socket.pipe(upstream).pipe(socket);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => relay.close());
  const agent = startClient({
    servers: [serverAt((relay.address() as AddressInfo).port)],
    protocol: 'delta',
    linked: 'auto',
  });
  t.after(() => agent.client.close());
  return agent;
}

const TYPES = ['listeners', 'routes', 'clusters', 'loadAssignments', 'secrets'] as const;

/** Names without the parts that are hashes. */
function namesOf({ store }: ClientUnderTest): Record<string, string[]> {
  return Object.fromEntries(
    TYPES.map((type) => [
      type,
      [...store.current[type].keys()].map((name) => name.replace(/[0-9a-f]{12}$/, 'CLASS')).sort(),
    ]),
  );
}

test('every agent’s store holds what its node needs, and an edit sends what it changes', async (t) => {
  const folder = await temporaryDirectory(t);
  const [config, state] = [join(folder, 'config'), join(folder, 'state')];
  for (const path of [config, state]) await mkdir(path, { mode: 0o700 });
  const save = (name: string, text: string) => writeFile(join(config, name), text, { mode: 0o600 });
  await save('mesh.yaml', mesh());
  await save('canary.yaml', canary(90));
  const args = ['--config', config, '--state-dir', state, '--drain', '1'];
  const control = startControl(t, folder, args);
  const at = { state, config, address: await control.address() };
  const shop = await agentOn(t, 'n1', at);
  const bank = await agentOn(t, 'n2', at);
  const edge = await agentOn(t, 'n3', at);
  const all = { shop, bank, edge };
  const everybodys = {
    listeners: [
      'outbound|9080|*|page.shop.svc.cluster.local',
      'outbound|9080|*|reviews.shop.svc.cluster.local',
    ],
    clusters: [
      'extension|443|https|keys.example',
      'inbound|9080||',
      'outbound|8080||ledger.bank.svc.cluster.local',
      'outbound|9080|v1|reviews.shop.svc.cluster.local',
      'outbound|9080|v2|reviews.shop.svc.cluster.local',
      'outbound|9080||page.shop.svc.cluster.local',
      'outbound|9080||reviews.shop.svc.cluster.local',
    ],
  };
  const [routes, loadAssignments] = [everybodys.listeners, everybodys.clusters.slice(2)];
  const same = { ...everybodys, routes, loadAssignments, secrets: [] };
  const own = (listener: string, ...more: string[]) => [listener, ...more, ...everybodys.listeners];
  const ledger = own('outbound|8080|bank|ledger.bank.svc.cluster.local');
  const expected = {
    shop: { ...same, listeners: own('inbound|9080|shop/CLASS') },
    bank: { ...same, listeners: ledger, routes: ledger },
    edge: {
      ...same,
      listeners: own('gateway|443|edge/main'),
      routes: own('gateway|443|edge/main|0'),
      secrets: ['kubernetes://edge/cert'],
    },
  };
  for (const [name, agent] of Object.entries(all)) {
    const wanted = expected[name as keyof typeof all];
    const isThere = (): boolean => isDeepStrictEqual(namesOf(agent), wanted);
    await agent.until(name, isThere, 20_000).catch(() => {});
    assert.deepEqual(namesOf(agent), wanted, name);
  }
  const uid = 'Kubernetes//Pod/shop/reviews-1';
  const { inboundClass } = shop.store.current.workloads.get(uid)!;
  assert.ok(shop.store.current.listeners.has(`inbound|9080|${inboundClass}`));

  const before = Object.values(all).map(({ updates }) => updates.length);
  await save('canary.yaml', canary(50));
  const reviews = 'outbound|9080|*|reviews.shop.svc.cluster.local';
  for (const [index, agent] of Object.values(all).entries()) {
    const weights = () =>
      agent.store.current.routes
        .get(reviews)!
        .virtualHosts[0]!.routes.flatMap(({ action }) =>
          action.type === 'forward' && action.clusters.type === 'weighted'
            ? action.clusters.choices.map(({ weight }) => weight)
            : [],
        );
    await agent.until('the new weights', () => isDeepStrictEqual(weights(), [50, 50]));
    const sent = agent.updates
      .slice(before[index])
      .flatMap((update) =>
        Object.entries(update as Record<string, Delta<{ readonly name?: string }>>).flatMap(
          ([type, { upserts, removals }]) => [
            ...upserts.map(({ name }) => `${type} ${name}`),
            ...removals.map((name) => `-${type} ${name}`),
          ],
        ),
      );
    assert.deepEqual(sent, [`routes ${reviews}`]);
  }
});
