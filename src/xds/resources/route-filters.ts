/**
 * Overrides of HTTP filters on a virtual host or a route (typed_per_filter_config) ↔ RouteFilters.
 */
import type { RouteFilters } from '../../model/http-filter.ts';
import type { EnvoyCodecs, WireAny, WireAnyInput } from '../codec-envoy.ts';
import { RBAC_FILTER } from './ext-authz.ts';
import { CORS_FILTER, FAULT_FILTER, LOCAL_RATE_LIMIT_FILTER } from './http-filters.ts';
import { JWT_FILTER } from './jwt-claim.ts';
import { refuseOrWarn } from './protection.ts';
import { rbacToWire, rulesFromWire } from './rbac.ts';
import { pack, unpack, type Reading } from './reading.ts';
import {
  corsFromWire,
  corsToWire,
  faultFromWire,
  faultToWire,
  localRateLimitFromWire,
  localRateLimitToWire,
} from './traffic-filters.ts';

const EXT_AUTHZ_FILTER = 'envoy.filters.http.ext_authz';

export function routeFiltersToWire(
  codec: EnvoyCodecs,
  filters: RouteFilters,
): Record<string, WireAnyInput> {
  const { rbac, fault, cors, localRateLimit, extAuthz, jwt } = filters;
  const off = () => pack(codec.filterConfig, { disabled: true });
  const found: [string, WireAnyInput | undefined][] = [
    [
      RBAC_FILTER,
      rbac &&
        pack(codec.rbacPerRoute, { rbac: rbac === 'disabled' ? null : rbacToWire(codec, rbac) }),
    ],
    [FAULT_FILTER, fault && (fault === 'disabled' ? off() : pack(codec.fault, faultToWire(fault)))],
    [CORS_FILTER, cors && (cors === 'disabled' ? off() : pack(codec.corsPolicy, corsToWire(cors)))],
    [
      LOCAL_RATE_LIMIT_FILTER,
      localRateLimit && pack(codec.localRateLimit, localRateLimitToWire(localRateLimit)),
    ],
    [
      EXT_AUTHZ_FILTER,
      extAuthz &&
        pack(
          codec.extAuthzPerRoute,
          extAuthz === 'disabled'
            ? { disabled: true }
            : { check_settings: { context_extensions: Object.fromEntries(extAuthz.context) } },
        ),
    ],
    [
      JWT_FILTER,
      jwt &&
        pack(
          codec.jwtPerRoute,
          jwt === 'disabled' ? { disabled: true } : { requirement_name: jwt.requirement },
        ),
    ],
  ];
  return Object.fromEntries(found.flatMap(([name, any]) => (any ? [[name, any] as const] : [])));
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export function routeFiltersFromWire(
  wire: Readonly<Record<string, WireAny>>,
  path: string,
  reading: Reading,
): RouteFilters {
  const filters: Writable<RouteFilters> = {};
  for (const [name, any] of Object.entries(wire)) {
    readOverride(filters, name, any, `${path}["${name}"]`, reading);
  }
  return filters;
}

function readOverride(
  filters: Writable<RouteFilters>,
  name: string,
  any: WireAny | null,
  path: string,
  reading: Reading,
): void {
  const { codec } = reading;
  const wrapped = unpack(any, codec.filterConfig);
  const rbac = unpack(any, codec.rbacPerRoute);
  const fault = unpack(any, codec.fault);
  const cors = unpack(any, codec.corsPolicy);
  const local = unpack(any, codec.localRateLimit);
  const extAuthz = unpack(any, codec.extAuthzPerRoute);
  const jwt = unpack(any, codec.jwtPerRoute);
  if (wrapped) {
    if (wrapped.disabled) switchOff(filters, name, path, reading);
    else if (wrapped.config) readOverride(filters, name, wrapped.config, `${path}.config`, reading);
  } else if (rbac) {
    const { rules = null, shadow_rules = null } = rbac.rbac ?? {};
    filters.rbac = rbac.rbac
      ? {
          rules: rulesFromWire(rules, `${path}.rbac.rules`, reading),
          shadow: rulesFromWire(shadow_rules, `${path}.rbac.shadow_rules`, reading),
        }
      : 'disabled';
  } else if (fault) {
    filters.fault = faultFromWire(fault, path, reading) ?? 'disabled';
  } else if (cors) filters.cors = corsFromWire(cors, path, reading);
  else if (local) {
    const limit = localRateLimitFromWire(local, path, reading);
    if (limit !== undefined) filters.localRateLimit = limit;
    else reading.warn(path);
  } else if (extAuthz) {
    const context = new Map(Object.entries(extAuthz.check_settings?.context_extensions ?? {}));
    filters.extAuthz = extAuthz.disabled === true ? 'disabled' : { context };
  } else if (jwt) {
    const { requirement_name, disabled } = jwt;
    if (requirement_name !== undefined) filters.jwt = { requirement: requirement_name };
    else if (disabled === true) filters.jwt = 'disabled';
  } else refuseOrWarn(any, false, path, reading);
}

/** FilterConfig says only what its key is called: Envoy's own names are what people use. */
function switchOff(
  filters: Writable<RouteFilters>,
  name: string,
  path: string,
  { warn }: Reading,
): void {
  if (name === RBAC_FILTER) filters.rbac = 'disabled';
  else if (name === FAULT_FILTER) filters.fault = 'disabled';
  else if (name === CORS_FILTER) filters.cors = 'disabled';
  else if (name === EXT_AUTHZ_FILTER) filters.extAuthz = 'disabled';
  else if (name === JWT_FILTER) filters.jwt = 'disabled';
  // A filter that stays on where it need not keeps no one's promise, but opens nothing.
  else warn(path);
}
