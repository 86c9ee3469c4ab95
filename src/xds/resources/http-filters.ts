/**
 * The HTTP filters of a connection manager ↔ HttpFilter.
 */
import type { HttpFilter, RbacRules } from '../../model/http-filter.ts';
import type { EnvoyCodecs, WireAny, WireAnyInput, WireHttpFilter } from '../codec-envoy.ts';
import type { MessageCodec } from '../codec.ts';
import {
  extAuthzFromWire,
  extAuthzToWire,
  RBAC_FILTER,
  SHADOW_POLICY,
  shadowPrefix,
  type ShadowRules,
} from './ext-authz.ts';
import { jwtFromWire, jwtToWire } from './jwt.ts';
import { JWT_FILTER } from './jwt-claim.ts';
import { isHarmlessFilter, refuseOrWarn } from './protection.ts';
import { rbacToWire, rulesFromWire, rulesToWire } from './rbac.ts';
import { holds, pack, unpack, type Reading } from './reading.ts';
import {
  faultFromWire,
  faultToWire,
  localRateLimitFromWire,
  localRateLimitToWire,
  rateLimitFromWire,
  rateLimitToWire,
} from './traffic-filters.ts';

/** Names that overrides find their filter by: Envoy's own, which everyone uses. */
export const FAULT_FILTER = 'envoy.filters.http.fault';
export const CORS_FILTER = 'envoy.filters.http.cors';
export const LOCAL_RATE_LIMIT_FILTER = 'envoy.filters.http.local_ratelimit';

interface NamedAny {
  readonly name: string;
  readonly typed_config: WireAnyInput;
}

export function filtersToWire(codec: EnvoyCodecs, filters: readonly HttpFilter[]): NamedAny[] {
  return filters.flatMap((filter) => filterToWire(codec, filter));
}

function filterToWire(codec: EnvoyCodecs, filter: HttpFilter): NamedAny[] {
  const one = <I, O>(name: string, message: MessageCodec<I, O>, value: I): NamedAny[] => [
    { name, typed_config: pack(message, value) },
  ];
  switch (filter.type) {
    case 'rbac':
      return one(filter.name, codec.rbac, rbacToWire(codec, filter.rbac));
    case 'jwt':
      return one(JWT_FILTER, codec.jwt, jwtToWire(filter.jwt));
    case 'ext-authz': {
      const { name, extAuthz } = filter;
      const check = one(name, codec.extAuthz, extAuthzToWire(extAuthz, name));
      if (extAuthz.when === undefined) return check;
      const shadow_rules = rulesToWire(codec, extAuthz.when);
      const shadow_rules_stat_prefix = shadowPrefix(name);
      return [
        ...one(RBAC_FILTER, codec.rbac, { shadow_rules, shadow_rules_stat_prefix }),
        ...check,
      ];
    }
    case 'rate-limit':
      return one(
        'envoy.filters.http.ratelimit',
        codec.rateLimit,
        rateLimitToWire(filter.rateLimit),
      );
    case 'local-rate-limit':
      return one(LOCAL_RATE_LIMIT_FILTER, codec.localRateLimit, localRateLimitToWire(filter.limit));
    case 'fault':
      return one(FAULT_FILTER, codec.fault, faultToWire(filter.fault));
    case 'cors':
      return one(CORS_FILTER, codec.cors, {});
    case 'grpc-stats':
      return one('envoy.filters.http.grpc_stats', codec.grpcStats, {});
    case 'buffer': {
      const max_request_bytes = { value: filter.maxBytes };
      return one('envoy.filters.http.buffer', codec.buffer, { max_request_bytes });
    }
    case 'router':
      return one('envoy.filters.http.router', codec.router, {});
  }
}

export function filtersFromWire(
  list: readonly WireHttpFilter[],
  path: string,
  reading: Reading,
): HttpFilter[] {
  const shadows = shadowRules(list, path, reading);
  return list.flatMap((wire, index): HttpFilter[] => {
    const at = `${path}[${index}]`;
    const any = wire.typed_config;
    if (wire.disabled) {
      // A route may switch it on again, and then it would be missing.
      if (isHarmlessFilter(any?.type_url ?? '')) reading.warn(`${at}.disabled`);
      else reading.error(`${at}.disabled`, 'is not supported');
      return [];
    }
    return filterFromWire(wire.name, any, wire.is_optional, `${at}.typed_config`, shadows, reading);
  });
}

/** The shadow rules that an ext_authz filter asks about, by their prefix; others are for counting and logging. */
function shadowRules(
  list: readonly WireHttpFilter[],
  path: string,
  reading: Reading,
): Map<string, RbacRules> {
  const { codec } = reading;
  const asked = list.flatMap(
    ({ typed_config }) =>
      unpack(typed_config, codec.extAuthz)?.filter_enabled_metadata?.path[0]?.key ?? [],
  );
  const found = list.flatMap(({ typed_config }, index): [string, RbacRules][] => {
    const rbac = asked.length > 0 ? unpack(typed_config, codec.rbac) : undefined;
    const prefix = rbac?.shadow_rules_stat_prefix ?? '';
    const at = `${path}[${index}].typed_config.shadow_rules`;
    const rules =
      rbac && asked.includes(prefix + SHADOW_POLICY)
        ? rulesFromWire(rbac.shadow_rules, at, reading)
        : undefined;
    return rules === undefined ? [] : [[prefix, rules]];
  });
  return new Map(found);
}

function filterFromWire(
  name: string,
  any: WireAny | null | undefined,
  isOptional: boolean,
  path: string,
  shadows: ShadowRules,
  reading: Reading,
): HttpFilter[] {
  const { codec } = reading;
  const rbac = unpack(any, codec.rbac);
  if (rbac) {
    const rules = rulesFromWire(rbac.rules, `${path}.rules`, reading);
    if (shadows.has(rbac.shadow_rules_stat_prefix)) {
      return rules === undefined
        ? []
        : [{ type: 'rbac', name, rbac: { rules, shadow: undefined } }];
    }
    const shadow = rulesFromWire(rbac.shadow_rules, `${path}.shadow_rules`, reading);
    return [{ type: 'rbac', name, rbac: { rules, shadow } }];
  }
  const jwt = unpack(any, codec.jwt);
  if (jwt) return [{ type: 'jwt', jwt: jwtFromWire(jwt, path, reading) }];
  const extAuthz = unpack(any, codec.extAuthz);
  if (extAuthz) {
    const read = extAuthzFromWire(extAuthz, shadows, path, reading);
    return [{ type: 'ext-authz', name, extAuthz: read }];
  }
  const rateLimit = unpack(any, codec.rateLimit);
  if (rateLimit) {
    return [{ type: 'rate-limit', rateLimit: rateLimitFromWire(rateLimit, path, reading) }];
  }
  const local = unpack(any, codec.localRateLimit);
  if (local) {
    return [{ type: 'local-rate-limit', limit: localRateLimitFromWire(local, path, reading) }];
  }
  const fault = unpack(any, codec.fault);
  if (fault) return [{ type: 'fault', fault: faultFromWire(fault, path, reading) }];
  if (holds(any, codec.cors)) return [{ type: 'cors' }];
  if (holds(any, codec.grpcStats)) return [{ type: 'grpc-stats' }];
  if (holds(any, codec.router)) return [{ type: 'router' }];
  const buffer = unpack(any, codec.buffer);
  if (buffer) return [{ type: 'buffer', maxBytes: buffer.max_request_bytes?.value ?? 0 }];
  refuseOrWarn(any, isOptional, path, reading);
  return [];
}
