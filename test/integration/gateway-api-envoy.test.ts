/**
 * Real Envoy takes what Gateways and routes of the Gateway API translate to, and does with requests what the
 * specification says.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  gatewayConfig,
  type GatewayConfig,
} from '../../src/control/translate/l7/gateway-api/gateway.ts';
import type { Cluster } from '../../src/model/cluster.ts';
import type { FilterChain, Listener } from '../../src/model/listener.ts';
import { parseIp } from '../../src/model/ip.ts';
import type { ApiRouteFilter, HttpApiRouteMatch } from '../../src/model/resource/gateway-api.ts';
import { createCodec } from '../../src/xds/codec.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-types.ts';
import { ENVOY_MISSING, findEnvoy } from '../bench/envoy.ts';
import { gateway, routes } from '../unit/control/gateway-api/arbitraries.ts';
import {
  backend,
  cluster,
  gatewayOf,
  httpRoute,
  roots,
  secret,
  toGateway,
  world,
} from '../unit/control/gateway-api/world.ts';
import { field, message, varint } from '../unit/xds/protobuf-bytes.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const SAMPLES = 400;
const START_MS = 60_000;
const codec = createCodec();
const envoy = findEnvoy(process.env);
const skip = envoy === undefined && ENVOY_MISSING;

test('Envoy takes random Gateways', { skip }, async () => {
  const samples = fc.sample(fc.tuple(gateway, routes), { seed: SEED, numRuns: SAMPLES });
  const listeners = samples.flatMap(([found, all], sample) => {
    const view = world(found, secret('shop/cert'), roots('shop/ca'), ...all);
    const config = gatewayConfig(found, view);
    return config.listeners
      .filter(({ chains, defaultChain }) => chains.length > 0 || defaultChain !== undefined)
      .map((one, index) => ({
        ...inline(one, config),
        name: `${sample}.${index}`,
        port: 20_000 + sample * 8 + index,
      }));
  });
  assert.ok(listeners.length > SAMPLES / 4, `${listeners.length}`);
  const encoded = listeners.map((one) => RESOURCE_TYPES.listeners.encode(codec, one));
  const running = await startEnvoy([], encoded);
  await running.close();
});

const prefix = (value: string): HttpApiRouteMatch => ({ path: { type: 'PathPrefix', value } });
const filtered = (path: string, ...filters: ApiRouteFilter[]) => ({
  matches: [prefix(path)],
  filters,
  backendRefs: [backend('a')],
});
const rewrite = (from: string, replacePrefixMatch: string) =>
  filtered(from, {
    type: 'URLRewrite',
    urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch } },
  });
const redirect = (
  path: string,
  requestRedirect: Partial<NonNullable<ApiRouteFilter['requestRedirect']>>,
) =>
  filtered(path, {
    type: 'RequestRedirect',
    requestRedirect: { statusCode: 302, ...requestRedirect },
  });

const RULES = [
  rewrite('/foo', '/xyz'),
  rewrite('/bare', '/'),
  filtered('/whole', {
    type: 'URLRewrite',
    urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/new' } },
  }),
  filtered('/host', { type: 'URLRewrite', urlRewrite: { hostname: 'new.example' } }),
  filtered('/header', {
    type: 'RequestHeaderModifier',
    requestHeaderModifier: {
      set: [{ name: 'x-set', value: '100%' }],
      add: [{ name: 'x-add', value: 'b' }],
      remove: ['x-gone'],
    },
  }),
  filtered('/extension', { type: 'ExtensionRef' }),
  redirect('/r/https', { scheme: 'https', hostname: 'h.example' }),
  redirect('/r/host', { hostname: 'h.example' }),
  redirect('/r/path', { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/to' } }),
  redirect('/r/bare', { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } }),
  { matches: [prefix('/half')], backendRefs: [backend('a'), backend('gone')] },
  { matches: [prefix('/none')], backendRefs: [backend('gone')] },
];
const OTHERS = [
  httpRoute({
    id: 'shop/wild',
    hostnames: ['*.example.com'],
    parentRefs: [toGateway('shop/gw')],
    rules: [rewrite('/', '/wild')],
  }),
  httpRoute({
    id: 'shop/exact',
    hostnames: ['a.example.com'],
    parentRefs: [toGateway('shop/gw')],
    rules: [rewrite('/only', '/exact')],
  }),
];

/** host, path → status and what the backend saw or the Location says; %PORT% is the listener's */
const EXPECTED: readonly [string, string, number, string?][] = [
  ['x', '/foo/bar?q=1', 200, '/xyz/bar?q=1'],
  ['x', '/foo', 200, '/xyz'],
  ['x', '/foobar', 404],
  ['x', '/bare/a/b', 200, '/a/b'],
  ['x', '/bare', 200, '/'],
  ['x', '/whole/a?q=1', 200, '/new?q=1'],
  ['x', '/extension', 500],
  ['x', '/none', 500],
  ['x', '/r/https', 302, 'https://h.example/r/https'],
  ['x', '/r/host', 302, 'http://h.example:%PORT%/r/host'],
  ['x', '/r/path/a', 302, 'http://x:%PORT%/to/a'],
  ['x', '/r/bare/a', 302, 'http://x:%PORT%/a'],
  ['a.example.com', '/only', 200, '/exact'],
  ['a.example.com', '/other', 200, '/wild/other'],
  ['b.example.com', '/only', 200, '/wild/only'],
];

test('Envoy does with requests what the specification says', { skip }, async (t) => {
  const backendServer = createServer((incoming, answer) => {
    answer.end(JSON.stringify({ url: incoming.url, headers: incoming.headers }));
  });
  const backendPort = await listen(backendServer);
  t.after(() => backendServer.close());
  const port = await freePort();

  const found = gatewayOf([{ port }]);
  const own = httpRoute({ parentRefs: [toGateway('shop/gw')], rules: RULES, hostnames: ['x'] });
  const config = gatewayConfig(found, world(found, own, ...OTHERS));
  const [listener] = config.listeners.map((one) =>
    RESOURCE_TYPES.listeners.encode(codec, inline(one, config)),
  );
  // Ours bind nothing; the last value of a field counts.
  const bound = message(Buffer.from(listener!), field(26, varint(1, 1)));
  const clusters = [cluster('a'), cluster('b')].map((name) =>
    RESOURCE_TYPES.clusters.encode(codec, staticCluster(name, backendPort)),
  );
  const running = await startEnvoy(clusters, [bound]);
  t.after(() => running.close());

  for (const [host, path, status, seen] of EXPECTED) {
    const answer = await get(port, host, path);
    assert.equal(answer.status, status, `${host}${path}`);
    if (status === 200) assert.equal(answer.seen?.url, seen, `${host}${path}`);
    if (status === 302) {
      assert.equal(answer.headers.location, seen?.replace('%PORT%', String(port)));
    }
  }
  const { seen: rewritten } = await get(port, 'x', '/host');
  assert.equal(rewritten?.headers.host, 'new.example');
  const { seen: edited } = await get(port, 'x', '/header', { 'x-gone': '1', 'x-add': 'a' });
  assert.equal(edited?.headers['x-set'], '100%');
  assert.equal(edited?.headers['x-add'], 'a, b');
  assert.equal(edited?.headers['x-gone'], undefined);

  const answers = await Promise.all(
    Array.from({ length: 200 }, async () => (await get(port, 'x', '/half')).status),
  );
  const failed = answers.filter((one) => one === 500).length;
  assert.equal(answers.filter((one) => one === 200).length, 200 - failed);
  // Eight standard deviations of a fair coin.
  assert.ok(Math.abs(failed - 100) < 57, `${failed} of 200`);
});

/** Routes inside, and no TLS: secrets would come from a server. */
function inline(listener: Listener, { routes: all }: GatewayConfig): Listener {
  const chainOf = (chain: FilterChain): FilterChain => {
    const { handler } = chain;
    if (handler.type === 'tcp' || handler.routes.type === 'inline')
      return { ...chain, tls: undefined };
    const { name } = handler.routes;
    const config = all.find((one) => one.name === name);
    assert.ok(config, name);
    return {
      ...chain,
      tls: undefined,
      handler: { ...handler, routes: { type: 'inline', config } },
    };
  };
  return {
    ...listener,
    chains: listener.chains.map(chainOf),
    defaultChain: listener.defaultChain && chainOf(listener.defaultChain),
  };
}

/** Ready for connections; what Envoy says against its configuration is the error. */
async function startEnvoy(
  clusters: readonly Uint8Array[],
  listeners: readonly Uint8Array[],
): Promise<{ close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'podwire-envoy-'));
  const file = join(folder, 'bootstrap.pb');
  const resources = [
    ...listeners.map((bytes) => field(1, Buffer.from(bytes))),
    ...clusters.map((bytes) => field(2, Buffer.from(bytes))),
  ];
  await writeFile(file, message(field(1, field(1, 't'), field(2, 't')), field(2, ...resources)));
  const args = ['-c', file, '--disable-hot-restart', '--concurrency', '1', '-l', 'info'];
  const child = spawn(envoy!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const close = async (): Promise<void> => {
    await stop(child);
    await rm(folder, { recursive: true });
  };
  const deadline = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stderr })) {
      if (line.includes('starting main dispatch loop')) {
        child.stderr.resume();
        return { close };
      }
      if (/critical|error/.test(line)) said.push(line);
    }
    throw new Error(`seed ${SEED}\n${said.join('\n')}`);
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  /** by the backend */
  readonly seen?: { readonly url: string; readonly headers: IncomingHttpHeaders };
}

async function get(
  port: number,
  host: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    headers: { host: `${host}:${port}`, ...headers },
  });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  const body = (await answer.toArray()).join('');
  const { statusCode: status } = answer;
  return { status, headers: answer.headers, ...(status === 200 && { seen: JSON.parse(body) }) };
}

function staticCluster(name: string, port: number): Cluster {
  const endpoint = {
    address: parseIp('127.0.0.1')!,
    port,
    healthy: true,
    weight: 1,
    workload: undefined,
  };
  const locality = { region: '', zone: '', subZone: '' };
  const localities = [{ locality, priority: 0, weight: undefined, endpoints: [endpoint] }];
  return {
    name,
    discovery: { type: 'static', endpoints: { name, localities, overprovisioning: 140 } },
    connectTimeoutMs: 1000,
    balancer: {
      policy: { type: 'round-robin' },
      slowStartMs: undefined,
      panicThreshold: 0,
      localityWeighted: false,
    },
    protocol: 'http1',
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
    service: { namespace: 'shop', name: 'a', host: 'a' },
  };
}
