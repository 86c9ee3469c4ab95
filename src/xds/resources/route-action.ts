/**
 * What a route does with a request ↔ RouteAction: forward, redirect, answer.
 */
import { NO_HEADER_EDITS } from '../../model/matcher.ts';
import type {
  ForwardAction,
  RedirectAction,
  RouteAction,
  WeightedCluster,
} from '../../model/route.ts';
import type {
  EnvoyCodecs,
  WireRedirectAction,
  WireRedirectActionInput,
  WireRoute,
  WireRouteAction,
  WireRouteActionInput,
  WireRouteInput,
} from '../codec-envoy.ts';
import { hashFromWire, hashToWire } from './hash-policy.ts';
import { descriptorsFromWire, descriptorToWire } from './rate-limit-descriptor.ts';
import type { Reading } from './reading.ts';
import { hedgeFromWire, hedgeToWire, retryFromWire, retryToWire } from './retry.ts';
import {
  hostRewriteFromWire,
  hostRewriteToWire,
  pathRewriteFromWire,
  regexFromWire,
  regexToWire,
} from './rewrite.ts';
import {
  ALL_MILLIONTHS,
  dataFromWire,
  durationFromWire,
  durationToWire,
  editsFromWire,
  editsToWire,
  fractionFromWire,
  fractionToWire,
} from './scalars.ts';

const DEFAULT_TIMEOUT_MS = 15_000;
const NOT_FOUND = {
  404: 'NOT_FOUND',
  500: 'INTERNAL_SERVER_ERROR',
  503: 'SERVICE_UNAVAILABLE',
} as const;
const REDIRECTS = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
} as const;

export function actionToWire(
  codec: EnvoyCodecs,
  action: RouteAction,
): Pick<WireRouteInput, 'route' | 'redirect' | 'direct_response'> {
  switch (action.type) {
    case 'forward':
      return { route: forwardToWire(codec, action) };
    case 'redirect':
      return { redirect: redirectToWire(action) };
    case 'respond': {
      const body = action.body.length === 0 ? null : { inline_bytes: Buffer.from(action.body) };
      return { direct_response: { status: action.status, body } };
    }
  }
}

export function actionFromWire(wire: WireRoute, path: string, reading: Reading): RouteAction {
  if (wire.route) return forwardFromWire(wire.route, `${path}.route`, reading);
  if (wire.redirect) return redirectFromWire(wire.redirect, `${path}.redirect`, reading);
  const response = wire.direct_response;
  if (!response) {
    reading.error(path, 'has no kind of action that is known');
    return { type: 'respond', status: 500, body: new Uint8Array() };
  }
  const body = response.body === null ? Buffer.alloc(0) : dataFromWire(response.body);
  if (body === undefined) reading.error(`${path}.direct_response.body`, 'is not inline');
  return { type: 'respond', status: response.status, body: new Uint8Array(body ?? []) };
}

function forwardToWire(codec: EnvoyCodecs, action: ForwardAction): WireRouteActionInput {
  const { clusters, pathRewrite, retry, hedge, upgrades } = action;
  return {
    ...(clusters.type === 'header'
      ? { cluster_header: clusters.header }
      : choicesToWire(clusters.choices)),
    cluster_not_found_response_code: NOT_FOUND[action.clusterNotFoundStatus],
    timeout: durationToWire(action.timeoutMs),
    idle_timeout: durationToWire(action.idleTimeoutMs),
    max_stream_duration:
      action.maxStreamMs === undefined && action.grpcTimeoutMaxMs === undefined
        ? null
        : {
            max_stream_duration: durationToWire(action.maxStreamMs),
            grpc_timeout_header_max: durationToWire(action.grpcTimeoutMaxMs),
          },
    retry_policy: retry ? retryToWire(codec, retry) : null,
    hedge_policy: hedge ? hedgeToWire(hedge) : null,
    request_mirror_policies: action.mirrors.map(({ cluster, fraction }) => ({
      cluster,
      runtime_fraction: { default_value: fractionToWire(fraction) },
    })),
    hash_policy: action.hash.map(hashToWire),
    prefix_rewrite: pathRewrite?.type === 'prefix' ? pathRewrite.value : '',
    regex_rewrite: pathRewrite?.type === 'regex' ? regexToWire(pathRewrite) : null,
    ...hostRewriteToWire(action.hostRewrite),
    upgrade_configs: (upgrades ?? []).map(({ type, enabled }) => ({
      upgrade_type: type,
      enabled: { value: enabled },
      connect_config: type === 'CONNECT' ? {} : null,
    })),
    rate_limits: action.rateLimits.map(descriptorToWire),
    include_vh_rate_limits: action.includeVirtualHostRateLimits ? { value: true } : null,
  };
}

function forwardFromWire(
  wire: WireRouteAction,
  path: string,
  reading: Reading,
): { type: 'forward' } & ForwardAction {
  const found = Object.entries(NOT_FOUND).find(
    ([, code]) => code === wire.cluster_not_found_response_code,
  );
  const stream = wire.max_stream_duration;
  return {
    type: 'forward',
    clusters:
      wire.cluster_header === undefined
        ? { type: 'weighted', choices: choicesFromWire(wire, path, reading) }
        : { type: 'header', header: wire.cluster_header.toLowerCase() },
    clusterNotFoundStatus: Number(found?.[0] ?? 503) as ForwardAction['clusterNotFoundStatus'],
    timeoutMs: durationFromWire(wire.timeout) ?? DEFAULT_TIMEOUT_MS,
    idleTimeoutMs: durationFromWire(wire.idle_timeout),
    maxStreamMs: durationFromWire(stream?.max_stream_duration ?? null),
    grpcTimeoutMaxMs: durationFromWire(stream?.grpc_timeout_header_max ?? wire.max_grpc_timeout),
    retry: retryFromWire(wire.retry_policy, `${path}.retry_policy`, reading),
    hedge: hedgeFromWire(wire.hedge_policy),
    mirrors: wire.request_mirror_policies.flatMap(({ cluster, runtime_fraction }, index) => {
      const fraction =
        runtime_fraction === null
          ? ALL_MILLIONTHS
          : fractionFromWire(runtime_fraction.default_value);
      if (cluster === '') reading.warn(`${path}.request_mirror_policies[${index}]`);
      return cluster === '' ? [] : [{ cluster, fraction }];
    }),
    hash: wire.hash_policy.flatMap((hash, index) =>
      hashFromWire(hash, `${path}.hash_policy[${index}]`, reading),
    ),
    pathRewrite: pathRewriteFromWire(wire),
    hostRewrite: hostRewriteFromWire(wire),
    upgrades:
      wire.upgrade_configs.length === 0
        ? undefined
        : wire.upgrade_configs.map(({ upgrade_type, enabled }) => ({
            type: upgrade_type,
            enabled: enabled?.value ?? true,
          })),
    rateLimits: descriptorsFromWire(wire.rate_limits, `${path}.rate_limits`, reading),
    includeVirtualHostRateLimits: wire.include_vh_rate_limits?.value === true,
  };
}

/** One choice of weight 1 is `cluster`, unless it changes the request. */
function choicesToWire(
  choices: readonly WeightedCluster[],
): Pick<WireRouteActionInput, 'cluster' | 'weighted_clusters'> {
  const [only] = choices;
  if (only && choices.length === 1 && isPlain(only)) return { cluster: only.cluster };
  return {
    weighted_clusters: {
      clusters: choices.map((choice) => ({
        name: choice.cluster,
        weight: { value: choice.weight },
        request_headers_to_add: editsToWire(choice.requestHeaders),
        request_headers_to_remove: [...choice.requestHeaders.remove],
        response_headers_to_add: editsToWire(choice.responseHeaders),
        response_headers_to_remove: [...choice.responseHeaders.remove],
        ...(choice.hostRewrite === undefined ? {} : { host_rewrite_literal: choice.hostRewrite }),
      })),
    },
  };
}

function isPlain({
  weight,
  requestHeaders,
  responseHeaders,
  hostRewrite,
}: WeightedCluster): boolean {
  const edits = [requestHeaders, responseHeaders];
  const hasEdits = edits.some((edit) => edit.edits.length > 0 || edit.remove.length > 0);
  return weight === 1 && !hasEdits && hostRewrite === undefined;
}

function choicesFromWire(wire: WireRouteAction, path: string, reading: Reading): WeightedCluster[] {
  if (wire.cluster) return [plainChoice(wire.cluster, 1)];
  const clusters = wire.weighted_clusters?.clusters ?? [];
  if (clusters.length === 0) reading.error(path, 'has no kind of cluster choice that is known');
  return clusters.map((choice, index) => {
    const at = `${path}.weighted_clusters.clusters[${index}]`;
    if (choice.name === '') reading.error(`${at}.name`, 'is missing');
    return {
      cluster: choice.name,
      weight: choice.weight?.value ?? 0,
      requestHeaders: editsFromWire(
        choice.request_headers_to_add,
        choice.request_headers_to_remove,
        `${at}.request_headers_to_add`,
        reading,
      ),
      responseHeaders: editsFromWire(
        choice.response_headers_to_add,
        choice.response_headers_to_remove,
        `${at}.response_headers_to_add`,
        reading,
      ),
      hostRewrite: choice.host_rewrite_literal,
    };
  });
}

export function plainChoice(cluster: string, weight: number): WeightedCluster {
  return {
    cluster,
    weight,
    requestHeaders: NO_HEADER_EDITS,
    responseHeaders: NO_HEADER_EDITS,
    hostRewrite: undefined,
  };
}

function redirectToWire(action: RedirectAction): WireRedirectActionInput {
  const { path } = action;
  return {
    ...(action.scheme === undefined ? {} : { scheme_redirect: action.scheme }),
    host_redirect: action.host ?? '',
    port_redirect: action.port ?? 0,
    ...(path?.type === 'whole' ? { path_redirect: path.value } : {}),
    ...(path?.type === 'prefix' ? { prefix_rewrite: path.value } : {}),
    ...(path?.type === 'regex' ? { regex_rewrite: regexToWire(path) } : {}),
    response_code: REDIRECTS[action.status],
    strip_query: action.stripQuery,
  };
}

function redirectFromWire(
  wire: WireRedirectAction,
  path: string,
  { error }: Reading,
): { type: 'redirect' } & RedirectAction {
  const status = Object.entries(REDIRECTS).find(([, code]) => code === wire.response_code);
  if (!status) error(`${path}.response_code`, `${String(wire.response_code)} is not known`);
  const { path_redirect, prefix_rewrite, regex_rewrite } = wire;
  return {
    type: 'redirect',
    scheme: wire.https_redirect === true ? 'https' : wire.scheme_redirect,
    host: wire.host_redirect || undefined,
    port: wire.port_redirect || undefined,
    path:
      path_redirect !== undefined
        ? { type: 'whole', value: path_redirect }
        : prefix_rewrite !== undefined
          ? { type: 'prefix', value: prefix_rewrite }
          : regex_rewrite
            ? { type: 'regex', ...regexFromWire(regex_rewrite) }
            : undefined,
    status: Number(status?.[0] ?? 301) as RedirectAction['status'],
    stripQuery: wire.strip_query,
  };
}
