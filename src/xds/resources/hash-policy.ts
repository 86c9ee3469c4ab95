/**
 * What a request is hashed by, for endpoints that keep their callers ↔ HashPolicy.
 */
import type { HashPolicy } from '../../model/route.ts';
import type { WireHashPolicy, WireHashPolicyInput } from '../codec-envoy.ts';
import type { Reading } from './reading.ts';
import { durationFromWire, durationToWire } from './scalars.ts';

export function hashToWire({ source, terminal }: HashPolicy): WireHashPolicyInput {
  switch (source.type) {
    case 'header':
      return { header: { header_name: source.name }, terminal };
    case 'cookie': {
      const { name, path, ttlMs } = source;
      return { cookie: { name, path, ttl: durationToWire(ttlMs) }, terminal };
    }
    case 'source-ip':
      return { connection_properties: { source_ip: true }, terminal };
    case 'query':
      return { query_parameter: { name: source.name }, terminal };
  }
}

export function hashFromWire(wire: WireHashPolicy, path: string, { warn }: Reading): HashPolicy[] {
  const { terminal } = wire;
  switch (wire.policy_specifier) {
    case 'header': {
      const name = (wire.header?.header_name ?? '').toLowerCase();
      return [{ source: { type: 'header', name }, terminal }];
    }
    case 'cookie': {
      const { name = '', path: at = '', ttl = null } = wire.cookie ?? {};
      const ttlMs = durationFromWire(ttl);
      return [{ source: { type: 'cookie', name, path: at, ttlMs }, terminal }];
    }
    case 'query_parameter':
      return [{ source: { type: 'query', name: wire.query_parameter?.name ?? '' }, terminal }];
    case 'connection_properties':
      if (wire.connection_properties?.source_ip === true) {
        return [{ source: { type: 'source-ip' }, terminal }];
      }
      break;
    default:
  }
  warn(path);
  return [];
}
