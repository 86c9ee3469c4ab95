/**
 * envoy.extensions.filters.http.ext_authz.v3.ExtAuthz ↔ ExtAuthz.
 *
 * Which requests are sent to the service at all is, for Envoy, a question to what an RBAC filter in front found out with
 * its shadow rules; that is how istiod writes CUSTOM policies, too.  So an ext-authz with `when` is two filters there.
 */
import type { ExtAuthz, RbacRules } from '../../model/http-filter.ts';
import type { WireExtAuthz, WireExtAuthzHttp, WireExtAuthzInput } from '../codec-envoy.ts';
import { stringsFromWire, stringToWire } from './matcher.ts';
import type { Reading } from './reading.ts';
import { durationFromWire, durationToWire } from './scalars.ts';

export const RBAC_FILTER = 'envoy.filters.http.rbac';
/** behind the prefix: the key under which Envoy leaves the policy that matched */
export const SHADOW_POLICY = 'shadow_effective_policy_id';
const DEFAULT_TIMEOUT_MS = 200;
const DEFAULT_ERROR_STATUS = 403;

/** Rules of RBAC filters in front that only find out, by their prefix. */
export type ShadowRules = ReadonlyMap<string, RbacRules>;

/** Prefix of the RBAC filter that stands in front of the ext_authz filter `name`. */
export function shadowPrefix(name: string): string {
  return `${name}_`;
}

export function extAuthzToWire(extAuthz: ExtAuthz, name: string): WireExtAuthzInput {
  const { service, bodyBytes, allowPartialBody, when } = extAuthz;
  const strings = (list: ExtAuthzStrings) =>
    list.length === 0 ? null : { patterns: list.map(stringToWire) };
  return {
    ...(service.type === 'grpc'
      ? {
          grpc_service: {
            envoy_grpc: { cluster_name: service.cluster },
            timeout: durationToWire(service.timeoutMs),
          },
        }
      : {
          http_service: {
            server_uri: {
              // Envoy wants one; where it goes is the cluster's business.
              uri: `http://${service.cluster}`,
              cluster: service.cluster,
              timeout: durationToWire(service.timeoutMs),
            },
            path_prefix: service.pathPrefix,
            authorization_response: {
              allowed_upstream_headers: strings(service.upstreamHeaders),
              allowed_client_headers: strings(service.clientHeaders),
            },
          },
          allowed_headers: strings(service.requestHeaders),
        }),
    transport_api_version: 'V3',
    failure_mode_allow: extAuthz.failOpen,
    status_on_error: { code: extAuthz.errorStatus },
    with_request_body:
      bodyBytes === 0
        ? null
        : { max_request_bytes: bodyBytes, allow_partial_message: allowPartialBody },
    filter_enabled_metadata:
      when === undefined
        ? null
        : {
            filter: RBAC_FILTER,
            path: [{ key: shadowPrefix(name) + SHADOW_POLICY }],
            value: { present_match: true },
          },
  };
}

type ExtAuthzStrings = Extract<ExtAuthz['service'], { type: 'http' }>['clientHeaders'];

export function extAuthzFromWire(
  wire: WireExtAuthz,
  shadows: ShadowRules,
  path: string,
  reading: Reading,
): ExtAuthz {
  const body = wire.with_request_body;
  return {
    service: serviceFromWire(wire, path, reading),
    failOpen: wire.failure_mode_allow,
    errorStatus: wire.status_on_error?.code || DEFAULT_ERROR_STATUS,
    bodyBytes: body?.max_request_bytes ?? 0,
    allowPartialBody: body?.allow_partial_message ?? false,
    when: whenFromWire(wire, shadows, path, reading),
  };
}

function serviceFromWire(wire: WireExtAuthz, path: string, reading: Reading): ExtAuthz['service'] {
  if (wire.http_service) return httpFromWire(wire, wire.http_service, path, reading);
  const cluster = wire.grpc_service?.envoy_grpc?.cluster_name ?? '';
  if (cluster === '') reading.error(`${path}.services`, 'names no cluster');
  const timeoutMs = durationFromWire(wire.grpc_service?.timeout ?? null) ?? DEFAULT_TIMEOUT_MS;
  return { type: 'grpc', cluster, timeoutMs };
}

function httpFromWire(
  wire: WireExtAuthz,
  http: WireExtAuthzHttp,
  path: string,
  reading: Reading,
): ExtAuthz['service'] {
  const at = `${path}.http_service`;
  const cluster = http.server_uri?.cluster ?? '';
  if (cluster === '') reading.error(`${at}.server_uri.cluster`, 'is missing');
  const { allowed_upstream_headers, allowed_client_headers } = http.authorization_response ?? {};
  const answer = `${at}.authorization_response`;
  const requestHeaders = wire.allowed_headers ?? http.authorization_request?.allowed_headers;
  return {
    type: 'http',
    cluster,
    pathPrefix: http.path_prefix,
    timeoutMs: durationFromWire(http.server_uri?.timeout ?? null) ?? DEFAULT_TIMEOUT_MS,
    upstreamHeaders: stringsFromWire(
      allowed_upstream_headers,
      `${answer}.allowed_upstream_headers`,
      reading,
    ),
    clientHeaders: stringsFromWire(
      allowed_client_headers,
      `${answer}.allowed_client_headers`,
      reading,
    ),
    requestHeaders: stringsFromWire(requestHeaders, `${path}.allowed_headers`, reading),
  };
}

function whenFromWire(
  { filter_enabled_metadata }: WireExtAuthz,
  shadows: ShadowRules,
  path: string,
  { error }: Reading,
): RbacRules | undefined {
  if (filter_enabled_metadata === null) return undefined;
  const { filter, path: keys, value, invert } = filter_enabled_metadata;
  const key = keys[0]?.key ?? '';
  const rules = key.endsWith(SHADOW_POLICY) && shadows.get(key.slice(0, -SHADOW_POLICY.length));
  if (filter === RBAC_FILTER && keys.length === 1 && !invert && rules) {
    if (value?.present_match === true) return rules;
    // istiod: the policies of all services are in one filter, told apart by what their names begin with
    const name = value?.string_match;
    if (name?.match_pattern === 'prefix' && !name.ignore_case) {
      const own = [...rules.policies].filter(([policy]) => policy.startsWith(name.prefix ?? ''));
      return { action: rules.action, policies: new Map(own) };
    }
  }
  error(`${path}.filter_enabled_metadata`, 'is not about an RBAC filter in front');
  return undefined;
}
