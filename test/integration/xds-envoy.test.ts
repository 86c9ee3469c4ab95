/**
 * Real Envoy accepts what podwire encodes: random resources in a bootstrap file, `envoy --mode validate`.
 *
 * With a secret over ADS that mode ends in a segmentation fault (1.40.0), so resources go there without, and TLS contexts
 * go to an Envoy that really starts; those have no endpoints and bind no port.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import type { Cluster, UpstreamTls } from '../../src/model/cluster.ts';
import type { FilterChain } from '../../src/model/listener.ts';
import { readMeshConfig } from '../../src/control/mesh-config.ts';
import {
  inboundCluster,
  inboundListener,
} from '../../src/control/translate/l7/inbound/inbound-listener.ts';
import { securityFilters } from '../../src/control/translate/l7/inbound/security-filters.ts';
import { createCodec } from '../../src/xds/codec.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-types.ts';
import { ENVOY_MISSING, findEnvoy } from '../bench/envoy.ts';
import { bootstrap, validate } from '../support/envoy-validation.ts';
import {
  CLUSTERS,
  clusterArbitrary,
  listener,
  loadAssignment,
  routeConfiguration,
} from '../unit/xds/l7-arbitraries.ts';
import { policy } from '../unit/control/inbound/policy-arbitraries.ts';

const codec = createCodec();
const envoy = findEnvoy(process.env);
const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const SAMPLES = 60;
const { clusters, listeners } = RESOURCE_TYPES;

/** The clusters that listeners refer to, and the one with the management server. */
const FIXED: readonly Uint8Array[] = [...CLUSTERS, 'ads'].map((name) =>
  clusters.encode(codec, plainCluster(name)),
);

const sample = <T>(of: fc.Arbitrary<T>): T[] => fc.sample(of, { seed: SEED, numRuns: SAMPLES });

test('Envoy accepts our clusters', { skip: envoy === undefined && ENVOY_MISSING }, async () => {
  await validateEach(
    sample(clusterArbitrary).map((value, index) => {
      const bytes = clusters.encode(codec, {
        ...value,
        name: `c${index}`,
        tls: withoutSecrets(value.tls),
      });
      return { value, clusters: [bytes], listeners: [] };
    }),
  );
});

test(
  'Envoy accepts our load assignments',
  { skip: envoy === undefined && ENVOY_MISSING },
  async () => {
    await validateEach(
      sample(loadAssignment).map((endpoints, index) => {
        const discovery = { type: 'static', endpoints } as const;
        const value = { ...plainCluster(`c${index}`), discovery };
        return { value, clusters: [clusters.encode(codec, value)], listeners: [] };
      }),
    );
  },
);

test('Envoy accepts our listeners', { skip: envoy === undefined && ENVOY_MISSING }, async () => {
  await validateEach(
    sample(listener).map((found, index) => {
      const value = {
        ...found,
        name: `l${index}`,
        port: 20_000 + index,
        chains: found.chains.map(withoutTls),
        defaultChain: found.defaultChain && withoutTls(found.defaultChain),
      };
      return { value, clusters: [], listeners: [listeners.encode(codec, value)] };
    }),
  );
});

test('Envoy accepts our routes', { skip: envoy === undefined && ENVOY_MISSING }, async () => {
  const [base] = sample(listener.filter(({ chains }) => chains[0]?.handler.type === 'http'));
  const chain = withoutTls(base!.chains[0]!);
  assert.ok(chain.handler.type === 'http');
  const { handler } = chain;
  await validateEach(
    sample(routeConfiguration).map((config, index) => {
      const routes = { type: 'inline', config } as const;
      const chains = [
        { ...chain, handler: { ...handler, filters: [{ type: 'router' }], routes } },
      ] as const;
      const value = {
        ...base!,
        name: `l${index}`,
        port: 20_000 + index,
        defaultChain: undefined,
        chains,
      };
      return { value: config, clusters: [], listeners: [listeners.encode(codec, value)] };
    }),
  );
});

test(
  'Envoy accepts listeners made of policies',
  { skip: envoy === undefined && ENVOY_MISSING },
  async () => {
    const token = (rule: object) =>
      ({ spec: { jwtRules: [{ issuer: 'https://a.example', ...rule }] } }) as never;
    const tokens = [
      token({
        jwks: '{"keys":[]}',
        fromCookies: ['c'],
        fromParams: ['p'],
        outputPayloadToHeader: 'x-p',
      }),
      token({
        jwksUri: 'https://keys.example/jwks',
        audiences: ['a'],
        fromHeaders: [{ name: 'x-t' }],
      }),
    ];
    const names = new Set<string>();
    const samples = sample(fc.array(policy, { maxLength: 4 })).map((policies, index) => {
      const everywhere = policies.map(({ resource }) => resource);
      const { filters, clusters: asked } = securityFilters({
        policies: { everywhere, byService: new Map() },
        tokens: tokens.slice(0, index % 3),
        mesh: MESH,
      });
      const made = inboundListener({
        port: 20_000 + index,
        className: `shop/${index}`,
        protocol: index % 2 === 0 ? 'http' : 'auto',
        filters,
        telemetry: { accessLog: [{ path: '/dev/null', format: undefined }], tracing: undefined },
        mesh: MESH,
      });
      const needed = [
        clusters.encode(codec, inboundCluster(20_000 + index)),
        ...asked
          .filter(({ name }) => !names.has(name))
          .map(({ name }) => clusters.encode(codec, plainCluster(name))),
      ];
      for (const { name } of asked) names.add(name);
      return {
        value: policies.map(({ spec }) => spec),
        clusters: needed,
        listeners: [listeners.encode(codec, made)],
      };
    });
    assert.equal(names.size, 2);
    await validateEach(samples);
  },
);

test('Envoy accepts our TLS contexts', { skip: envoy === undefined && ENVOY_MISSING }, async () => {
  const tlsClusters = sample(clusterArbitrary.filter(({ tls }) => tls !== undefined)).map(
    ({ tls, proxyProtocol }, index) => {
      const discovery = { type: 'eds', service: 's' } as const;
      const value = { ...plainCluster(`c${index}`), discovery, tls, proxyProtocol };
      return clusters.encode(codec, value);
    },
  );
  const tlsListeners = sample(listener.filter(({ chains }) => chains[0]?.tls !== undefined)).map(
    (found, index) => {
      const chain = { ...found.chains[0]!, handler: HANDLER };
      const value = { ...found, name: `l${index}`, port: 20_000 + index, defaultChain: undefined };
      return listeners.encode(codec, { ...value, chains: [chain] });
    },
  );
  assert.equal(await start(tlsClusters, tlsListeners), 'starting main dispatch loop');
});

const { config: MESH } = readMeshConfig(
  'extensionProviders: [{ name: gate, envoyExtAuthzGrpc: { service: gate.shop.svc, port: 9000 } }]',
  'mesh.yaml',
);

const HANDLER: FilterChain['handler'] = {
  type: 'tcp',
  clusters: [
    {
      cluster: 'authz',
      weight: 1,
      requestHeaders: { edits: [], remove: [] },
      responseHeaders: { edits: [], remove: [] },
      hostRewrite: undefined,
    },
  ],
  idleTimeoutMs: 1000,
  hash: [],
};

function withoutTls(chain: FilterChain): FilterChain {
  return { ...chain, tls: undefined };
}

function withoutSecrets(tls: UpstreamTls | undefined): UpstreamTls | undefined {
  if (tls === undefined) return undefined;
  return {
    ...tls,
    certificates: [],
    validation: tls.validation?.roots ? undefined : tls.validation,
  };
}

interface Sample {
  readonly value: unknown;
  readonly clusters: readonly Uint8Array[];
  readonly listeners: readonly Uint8Array[];
}

/** All in one file; when that is refused, the first that is refused alone is shown. */
async function validateEach(samples: readonly Sample[]): Promise<void> {
  const all = await validate(
    envoy!,
    [...FIXED, ...samples.flatMap((s) => s.clusters)],
    samples.flatMap((s) => s.listeners),
  );
  if (all === undefined) return;
  const show = (value: unknown) =>
    JSON.stringify(value, (_, part: unknown) => (part instanceof Map ? [...part] : part), 1);
  const said = new Map<string, string>();
  for (const one of samples) {
    const refused = await validate(envoy!, [...FIXED, ...one.clusters], one.listeners);
    if (refused !== undefined && !said.has(refused)) said.set(refused, show(one.value));
    if (said.size > 3) break;
  }
  assert.fail(`seed ${SEED}\n${all}\n${[...said].flat().join('\n')}`);
}

/** The first line with which Envoy serves or gives up. */
async function start(
  clusterBytes: readonly Uint8Array[],
  listenerBytes: readonly Uint8Array[],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-envoy-'));
  const file = join(folder, 'bootstrap.pb');
  await writeFile(file, bootstrap([...FIXED, ...clusterBytes], listenerBytes));
  const args = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'info'];
  const child = spawn(envoy!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const deadline = setTimeout(() => child.kill('SIGKILL'), 60_000);
  try {
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes('starting main dispatch loop')) return 'starting main dispatch loop';
      if (/critical|error initializing/.test(line)) return line;
    }
    return 'it ended';
  } finally {
    clearTimeout(deadline);
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  }
}

function plainCluster(name: string): Cluster {
  return {
    name,
    discovery: { type: 'static', endpoints: { name, localities: [], overprovisioning: 140 } },
    connectTimeoutMs: 1000,
    balancer: {
      policy: { type: 'round-robin' },
      slowStartMs: undefined,
      panicThreshold: 0,
      localityWeighted: false,
    },
    protocol: 'http2',
    maxRequestsPerConnection: undefined,
    idleTimeoutMs: undefined,
    maxConnectionMs: undefined,
    tcpKeepalive: undefined,
    limits: {
      maxConnections: undefined,
      maxPendingRequests: undefined,
      maxRequests: undefined,
      maxRetries: undefined,
      retryBudget: undefined,
    },
    outliers: undefined,
    healthChecks: [],
    tls: undefined,
    proxyProtocol: undefined,
    service: { namespace: 'a', name: 'b', host: 'c' },
  };
}
