/**
 * envoy.config.route.v3.RouteConfiguration ↔ RouteConfiguration: virtual hosts and which requests take which route.
 */
import type { Route, RouteConfiguration, RouteMatch, VirtualHost } from '../../model/route.ts';
import type {
  EnvoyCodecs,
  WireRoute,
  WireRouteConfiguration,
  WireRouteConfigurationInput,
  WireRouteInput,
  WireRouteMatch,
  WireRouteMatchInput,
  WireVirtualHost,
  WireVirtualHostInput,
} from '../codec-envoy.ts';
import type { Codec } from '../codec.ts';
import type { Decoded } from './decoded.ts';
import {
  headersFromWire,
  headerToWire,
  pathFromWire,
  pathToWire,
  queryFromWire,
  queryToWire,
} from './matcher.ts';
import { descriptorsFromWire, descriptorToWire } from './rate-limit-descriptor.ts';
import { decodeResource, type Reading } from './reading.ts';
import { hedgeFromWire, hedgeToWire, retryFromWire, retryToWire } from './retry.ts';
import { actionFromWire, actionToWire } from './route-action.ts';
import { routeFiltersFromWire, routeFiltersToWire } from './route-filters.ts';
import { editsFromWire, editsToWire, fractionFromWire, fractionToWire } from './scalars.ts';

export function encodeRouteConfiguration({ envoy }: Codec, config: RouteConfiguration): Uint8Array {
  return envoy.routeConfiguration.encode(routeConfigurationToWire(envoy, config));
}

export function decodeRouteConfiguration(
  { envoy }: Codec,
  bytes: Uint8Array,
): Decoded<RouteConfiguration> {
  return decodeResource(envoy, envoy.routeConfiguration, bytes, (wire, reading) => {
    if (wire.name === '') reading.error('name', 'is missing');
    return routeConfigurationFromWire(wire, '', reading);
  });
}

export function routeConfigurationToWire(
  codec: EnvoyCodecs,
  config: RouteConfiguration,
): WireRouteConfigurationInput {
  return {
    name: config.name,
    virtual_hosts: config.virtualHosts.map((host) => hostToWire(codec, host)),
    request_headers_to_add: editsToWire(config.requestHeaders),
    request_headers_to_remove: [...config.requestHeaders.remove],
    response_headers_to_add: editsToWire(config.responseHeaders),
    response_headers_to_remove: [...config.responseHeaders.remove],
    // A cluster that is still to come answers 503 until then, and no route is refused for it.
    validate_clusters: { value: false },
    ignore_port_in_host_matching: config.ignorePortInHost,
  };
}

/** `path`: of the message with a dot behind it, "" at the top */
export function routeConfigurationFromWire(
  wire: WireRouteConfiguration,
  path: string,
  reading: Reading,
): RouteConfiguration {
  return {
    name: wire.name,
    virtualHosts: wire.virtual_hosts.map((host, index) =>
      hostFromWire(host, `${path}virtual_hosts[${index}]`, reading),
    ),
    ...headerEditsFromWire(wire, path, reading),
    ignorePortInHost: wire.ignore_port_in_host_matching,
  };
}

function hostToWire(codec: EnvoyCodecs, host: VirtualHost): WireVirtualHostInput {
  return {
    name: host.name,
    domains: [...host.domains],
    routes: host.routes.map((route) => routeToWire(codec, route)),
    request_headers_to_add: editsToWire(host.requestHeaders),
    request_headers_to_remove: [...host.requestHeaders.remove],
    response_headers_to_add: editsToWire(host.responseHeaders),
    response_headers_to_remove: [...host.responseHeaders.remove],
    retry_policy: host.retry ? retryToWire(codec, host.retry) : null,
    hedge_policy: host.hedge ? hedgeToWire(host.hedge) : null,
    rate_limits: host.rateLimits.map(descriptorToWire),
    typed_per_filter_config: routeFiltersToWire(codec, host.filters),
  };
}

function hostFromWire(wire: WireVirtualHost, path: string, reading: Reading): VirtualHost {
  if (wire.domains.length === 0) reading.error(`${path}.domains`, 'is empty');
  const filters = `${path}.typed_per_filter_config`;
  return {
    name: wire.name,
    domains: wire.domains,
    routes: wire.routes.map((route, index) =>
      routeFromWire(route, `${path}.routes[${index}]`, reading),
    ),
    ...headerEditsFromWire(wire, `${path}.`, reading),
    retry: retryFromWire(wire.retry_policy, `${path}.retry_policy`, reading),
    hedge: hedgeFromWire(wire.hedge_policy),
    rateLimits: descriptorsFromWire(wire.rate_limits, `${path}.rate_limits`, reading),
    filters: routeFiltersFromWire(wire.typed_per_filter_config, filters, reading),
  };
}

function routeToWire(codec: EnvoyCodecs, route: Route): WireRouteInput {
  const { tracing } = route;
  const sampling = (share: number | undefined) =>
    share === undefined ? null : fractionToWire(share);
  return {
    name: route.name,
    match: matchToWire(route.match),
    ...actionToWire(codec, route.action),
    request_headers_to_add: editsToWire(route.requestHeaders),
    request_headers_to_remove: [...route.requestHeaders.remove],
    response_headers_to_add: editsToWire(route.responseHeaders),
    response_headers_to_remove: [...route.responseHeaders.remove],
    typed_per_filter_config: routeFiltersToWire(codec, route.filters),
    tracing: tracing
      ? {
          client_sampling: sampling(tracing.clientSampling),
          random_sampling: sampling(tracing.randomSampling),
          overall_sampling: sampling(tracing.overallSampling),
        }
      : null,
  };
}

function routeFromWire(wire: WireRoute, path: string, reading: Reading): Route {
  const { tracing } = wire;
  const sampling = (share: Parameters<typeof fractionFromWire>[0]) =>
    share === null ? undefined : fractionFromWire(share);
  const filters = `${path}.typed_per_filter_config`;
  return {
    name: wire.name,
    match: matchFromWire(wire.match, `${path}.match`, reading),
    action: actionFromWire(wire, path, reading),
    ...headerEditsFromWire(wire, `${path}.`, reading),
    filters: routeFiltersFromWire(wire.typed_per_filter_config, filters, reading),
    tracing: tracing
      ? {
          clientSampling: sampling(tracing.client_sampling),
          randomSampling: sampling(tracing.random_sampling),
          overallSampling: sampling(tracing.overall_sampling),
        }
      : undefined,
  };
}

function matchToWire(match: RouteMatch): WireRouteMatchInput {
  return {
    ...pathToWire(match.path),
    case_sensitive: match.ignorePathCase ? { value: false } : null,
    headers: match.headers.map(headerToWire),
    query_parameters: match.query.map(queryToWire),
    runtime_fraction:
      match.fraction === undefined ? null : { default_value: fractionToWire(match.fraction) },
    grpc: match.grpcOnly ? {} : null,
  };
}

function matchFromWire(wire: WireRouteMatch | null, path: string, reading: Reading): RouteMatch {
  return {
    path: pathFromWire(wire, path, reading),
    ignorePathCase: wire?.case_sensitive?.value === false,
    headers: headersFromWire(wire?.headers ?? [], `${path}.headers`, reading),
    query: (wire?.query_parameters ?? []).flatMap((query, index) =>
      queryFromWire(query, `${path}.query_parameters[${index}]`, reading),
    ),
    fraction: wire?.runtime_fraction
      ? fractionFromWire(wire.runtime_fraction.default_value)
      : undefined,
    grpcOnly: (wire?.grpc ?? null) !== null,
  };
}

type WithHeaderEdits = Pick<
  WireRoute,
  | 'request_headers_to_add'
  | 'request_headers_to_remove'
  | 'response_headers_to_add'
  | 'response_headers_to_remove'
>;

/** `path`: with a dot behind it, "" at the top */
export function headerEditsFromWire(wire: WithHeaderEdits, path: string, reading: Reading) {
  return {
    requestHeaders: editsFromWire(
      wire.request_headers_to_add,
      wire.request_headers_to_remove,
      `${path}request_headers_to_add`,
      reading,
    ),
    responseHeaders: editsFromWire(
      wire.response_headers_to_add,
      wire.response_headers_to_remove,
      `${path}response_headers_to_add`,
      reading,
    ),
  };
}
