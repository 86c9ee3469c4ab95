/**
 * Listeners, routes, clusters and endpoints that name each other, as small as they can be.
 */
import type { Cluster } from '../../src/model/cluster.ts';
import { parseIp } from '../../src/model/ip.ts';
import type { Listener } from '../../src/model/listener.ts';
import { NO_LOCALITY, type LoadAssignment } from '../../src/model/load-assignment.ts';
import { NO_HEADER_EDITS } from '../../src/model/matcher.ts';
import type { RouteConfiguration } from '../../src/model/route.ts';

export function cluster(name: string): Cluster {
  return {
    name,
    discovery: { type: 'eds', service: name },
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
    service: undefined,
  };
}

export function endpoints(name: string, ip: string): LoadAssignment {
  const endpoint = {
    address: parseIp(ip)!,
    port: 8080,
    healthy: true,
    weight: 1,
    workload: undefined,
  };
  const locality = { locality: NO_LOCALITY, priority: 0, weight: undefined, endpoints: [endpoint] };
  return { name, localities: [locality], overprovisioning: 140 };
}

export function routes(name: string, clusters: readonly string[]): RouteConfiguration {
  return {
    name,
    virtualHosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: clusters.map((to, index) => ({
          name: to,
          match: {
            path: { type: 'prefix', value: `/${index}` },
            ignorePathCase: false,
            headers: [],
            query: [],
            fraction: undefined,
            grpcOnly: false,
          },
          action: {
            type: 'forward',
            clusters: {
              type: 'weighted',
              choices: [
                {
                  cluster: to,
                  weight: 1,
                  requestHeaders: NO_HEADER_EDITS,
                  responseHeaders: NO_HEADER_EDITS,
                  hostRewrite: undefined,
                },
              ],
            },
            clusterNotFoundStatus: 503,
            timeoutMs: 0,
            idleTimeoutMs: undefined,
            maxStreamMs: undefined,
            grpcTimeoutMaxMs: undefined,
            retry: undefined,
            hedge: undefined,
            mirrors: [],
            hash: [],
            pathRewrite: undefined,
            hostRewrite: undefined,
            upgrades: undefined,
            rateLimits: [],
            includeVirtualHostRateLimits: false,
          },
          requestHeaders: NO_HEADER_EDITS,
          responseHeaders: NO_HEADER_EDITS,
          filters: {},
          tracing: undefined,
        })),
        requestHeaders: NO_HEADER_EDITS,
        responseHeaders: NO_HEADER_EDITS,
        retry: undefined,
        hedge: undefined,
        rateLimits: [],
        filters: {},
      },
    ],
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    ignorePortInHost: false,
  };
}

export function listener(name: string, route: string): Listener {
  return {
    name,
    direction: 'outbound',
    addresses: [parseIp('10.96.0.1')!],
    port: 80,
    chains: [
      {
        name: 'http',
        match: {
          destinationPort: undefined,
          destinations: [],
          serverNames: [],
          transport: undefined,
          applicationProtocols: [],
          sources: [],
        },
        tls: undefined,
        handler: {
          type: 'http',
          codec: 'auto',
          routes: { type: 'rds', name: route },
          filters: [{ type: 'router' }],
          statPrefix: name,
          serverName: '',
          idleTimeoutMs: undefined,
          streamIdleTimeoutMs: undefined,
          requestTimeoutMs: undefined,
          maxRequestHeadersKb: undefined,
          upgrades: [],
          acceptHttp10: false,
          normalizePath: false,
          mergeSlashes: false,
          escapedSlashes: 'keep',
          useRemoteAddress: false,
          trustedHops: 0,
          clientCertificate: 'sanitize',
          tracing: undefined,
          accessLog: [],
        },
      },
    ],
    defaultChain: undefined,
    inspectTls: false,
    inspectHttp: false,
  };
}
