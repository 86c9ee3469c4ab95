/**
 * istio.security.Authorization ↔ Authorization.
 */
import type { Authorization, Match, StringMatch } from '../../model/authorization.ts';
import { ipFromBytes, ipWireBytes, makePrefix, type Prefix } from '../../model/ip.ts';
import type {
  Codec,
  WireAuthorizationInput,
  WireMatch,
  WireMatchInput,
  WirePrefix,
  WirePrefixInput,
  WireStringMatch,
  WireStringMatchInput,
} from '../codec.ts';
import { decodeWith, MAX_PORT, type Decoded, type FieldError } from './decoded.ts';
import { reportUnknown } from './reading.ts';

export const AUTHORIZATION_TYPE_URL = 'type.googleapis.com/istio.security.Authorization';

export function encodeAuthorization(codec: Codec, policy: Authorization): Uint8Array {
  const wire: WireAuthorizationInput = {
    name: policy.name,
    namespace: policy.namespace,
    scope: policy.scope,
    action: policy.action,
    dry_run: policy.dryRun,
    rules: policy.rules.map(({ clauses }) => ({
      clauses: clauses.map(({ matches }) => ({ matches: matches.map(matchToWire) })),
    })),
  };
  return codec.authorization.encode(wire);
}

export function decodeAuthorization(codec: Codec, bytes: Uint8Array): Decoded<Authorization> {
  return decodeWith((error, warn): Authorization => {
    reportUnknown(codec.authorization, bytes, error, warn);
    const { name, namespace, scope, action, dry_run, rules } = codec.authorization.decode(bytes);
    if (name === '') error('name', 'is missing');
    // A number is an enum value this version does not know.
    if (typeof scope !== 'string') error('scope', `${String(scope)} is not known`);
    if (typeof action !== 'string') error('action', `${String(action)} is not known`);
    return {
      name,
      namespace,
      scope,
      action,
      dryRun: dry_run,
      rules: rules.map(({ clauses }, r) => ({
        clauses: clauses.map(({ matches }, c) => ({
          matches: matches.map((match, m) =>
            matchFromWire(match, `rules[${r}].clauses[${c}].matches[${m}]`, error),
          ),
        })),
      })),
    };
  });
}

function matchToWire(match: Match): WireMatchInput {
  return {
    namespaces: match.namespaces.map(stringToWire),
    not_namespaces: match.notNamespaces.map(stringToWire),
    service_accounts: [...match.serviceAccounts],
    not_service_accounts: [...match.notServiceAccounts],
    principals: match.principals.map(stringToWire),
    not_principals: match.notPrincipals.map(stringToWire),
    source_ips: match.sourceIps.map(prefixToWire),
    not_source_ips: match.notSourceIps.map(prefixToWire),
    destination_ips: match.destinationIps.map(prefixToWire),
    not_destination_ips: match.notDestinationIps.map(prefixToWire),
    destination_ports: [...match.destinationPorts],
    not_destination_ports: [...match.notDestinationPorts],
  };
}

function matchFromWire(wire: WireMatch, path: string, error: FieldError): Match {
  if (wire.extensions.length > 0) error(`${path}.extensions`, 'are not supported');
  type Read<W, T> = (value: W, path: string, error: FieldError) => T[];
  const list = <W, T>(name: keyof WireMatch, values: readonly W[], read: Read<W, T>): T[] =>
    values.flatMap((value, index) => read(value, `${path}.${name}[${index}]`, error));
  return {
    namespaces: list('namespaces', wire.namespaces, stringFromWire),
    notNamespaces: list('not_namespaces', wire.not_namespaces, stringFromWire),
    serviceAccounts: wire.service_accounts,
    notServiceAccounts: wire.not_service_accounts,
    principals: list('principals', wire.principals, stringFromWire),
    notPrincipals: list('not_principals', wire.not_principals, stringFromWire),
    sourceIps: list('source_ips', wire.source_ips, prefixFromWire),
    notSourceIps: list('not_source_ips', wire.not_source_ips, prefixFromWire),
    destinationIps: list('destination_ips', wire.destination_ips, prefixFromWire),
    notDestinationIps: list('not_destination_ips', wire.not_destination_ips, prefixFromWire),
    destinationPorts: list('destination_ports', wire.destination_ports, portFromWire),
    notDestinationPorts: list('not_destination_ports', wire.not_destination_ports, portFromWire),
  };
}

function stringToWire(match: StringMatch): WireStringMatchInput {
  return match.type === 'presence' ? { presence: {} } : { [match.type]: match.value };
}

function stringFromWire(wire: WireStringMatch, path: string, error: FieldError): StringMatch[] {
  switch (wire.match_type) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return [{ type: wire.match_type, value: wire[wire.match_type] ?? '' }];
    case 'presence':
      return [{ type: 'presence' }];
    default:
      error(path, 'has no kind of match that is known');
      return [];
  }
}

function prefixToWire(prefix: Prefix): WirePrefixInput {
  return { address: ipWireBytes(prefix.address), length: prefix.length };
}

function prefixFromWire(wire: WirePrefix, path: string, error: FieldError): Prefix[] {
  const ip = ipFromBytes(wire.address);
  // An IPv4 block may come in its mapped form.
  const mapped = ip !== undefined && wire.address.length === 16 && !ip.includes(':');
  const prefix = ip && makePrefix(ip, mapped ? wire.length - 96 : wire.length);
  if (prefix !== undefined) return [prefix];
  error(path, `${wire.address.length} bytes with length ${wire.length} are no block of addresses`);
  return [];
}

function portFromWire(port: number, path: string, error: FieldError): number[] {
  if (port <= MAX_PORT) return [port];
  error(path, `${port} is no port`);
  return [];
}
