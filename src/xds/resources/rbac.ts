/**
 * envoy.config.rbac.v3.RBAC ↔ RbacRules.  Every condition that is not known refuses the resource.
 */
import type { Permission, Principal, Rbac, RbacRules } from '../../model/http-filter.ts';
import type {
  EnvoyCodecs,
  WirePermission,
  WirePermissionInput,
  WirePrincipal,
  WirePrincipalInput,
  WireRbacRules,
  WireRbacRulesInput,
} from '../codec-envoy.ts';
import { MAX_PORT } from './decoded.ts';
import { claimFromWire, claimToWire } from './jwt-claim.ts';
import { headerFromWire, headerToWire, stringFromWire, stringToWire } from './matcher.ts';
import { pack, unpack, type Reading } from './reading.ts';
import { cidrFromWire, cidrToWire } from './scalars.ts';
import { spiffeFromWire, spiffeToWire } from './spiffe-match.ts';

const URI_TEMPLATE = 'envoy.path.match.uri_template.uri_template_matcher';

export function rbacToWire(codec: EnvoyCodecs, { rules, shadow }: Rbac) {
  return {
    rules: rules ? rulesToWire(codec, rules) : null,
    shadow_rules: shadow ? rulesToWire(codec, shadow) : null,
  };
}

export function rulesToWire(codec: EnvoyCodecs, rules: RbacRules): WireRbacRulesInput {
  return {
    action: rules.action,
    policies: Object.fromEntries(
      [...rules.policies].map(([name, { permissions, principals }]) => [
        name,
        {
          permissions: permissions.map((permission) => permissionToWire(codec, permission)),
          principals: principals.map(principalToWire),
        },
      ]),
    ),
  };
}

export function rulesFromWire(
  wire: WireRbacRules | null,
  path: string,
  reading: Reading,
): RbacRules | undefined {
  if (wire === null) return undefined;
  const { action } = wire;
  if (typeof action !== 'string') reading.error(`${path}.action`, `${String(action)} is not known`);
  const policies = Object.entries(wire.policies).map(([name, { permissions, principals }]) => {
    const at = `${path}.policies["${name}"]`;
    const policy = {
      permissions: permissions.flatMap((permission, index) =>
        permissionFromWire(permission, `${at}.permissions[${index}]`, reading),
      ),
      principals: principals.flatMap((principal, index) =>
        principalFromWire(principal, `${at}.principals[${index}]`, reading),
      ),
    };
    return [name, policy] as const;
  });
  return { action, policies: new Map(policies) };
}

function permissionToWire(codec: EnvoyCodecs, permission: Permission): WirePermissionInput {
  switch (permission.type) {
    case 'any':
      return { any: true };
    case 'and':
      return { and_rules: { rules: permission.of.map((rule) => permissionToWire(codec, rule)) } };
    case 'or':
      return { or_rules: { rules: permission.of.map((rule) => permissionToWire(codec, rule)) } };
    case 'not':
      return { not_rule: permissionToWire(codec, permission.of) };
    case 'header':
      return { header: headerToWire(permission.header) };
    case 'path': {
      const { path } = permission;
      if (path.type !== 'template') return { url_path: { path: stringToWire(path) } };
      const typed_config = pack(codec.uriTemplate, { path_template: path.value });
      return { uri_template: { name: URI_TEMPLATE, typed_config } };
    }
    case 'destination-ip':
      return { destination_ip: cidrToWire(permission.prefix) };
    case 'destination-port':
      return { destination_port: permission.port };
    case 'sni':
      return { requested_server_name: stringToWire(permission.name) };
  }
}

function permissionFromWire(wire: WirePermission, path: string, reading: Reading): Permission[] {
  const all = (set: { readonly rules: readonly WirePermission[] } | null | undefined, at: string) =>
    (set?.rules ?? []).flatMap((rule, index) =>
      permissionFromWire(rule, `${path}.${at}.rules[${index}]`, reading),
    );
  switch (wire.rule) {
    case 'any':
      return anyFromWire(wire.any, path, reading);
    case 'and_rules':
      return [{ type: 'and', of: all(wire.and_rules, 'and_rules') }];
    case 'or_rules':
      return [{ type: 'or', of: all(wire.or_rules, 'or_rules') }];
    case 'not_rule':
      return permissionFromWire(wire.not_rule!, `${path}.not_rule`, reading).map((of) => ({
        type: 'not',
        of,
      }));
    case 'header':
      return headerFromWire(wire.header!, `${path}.header`, reading).map((header) => ({
        type: 'header',
        header,
      }));
    case 'url_path':
      return stringFromWire(wire.url_path?.path ?? null, `${path}.url_path.path`, reading).map(
        (match) => ({ type: 'path', path: match }),
      );
    case 'uri_template': {
      const template = unpack(wire.uri_template?.typed_config, reading.codec.uriTemplate);
      if (template) {
        return [{ type: 'path', path: { type: 'template', value: template.path_template } }];
      }
      break;
    }
    case 'destination_ip':
      return cidrFromWire(wire.destination_ip!, `${path}.destination_ip`, reading).map(
        (prefix) => ({ type: 'destination-ip', prefix }),
      );
    case 'destination_port': {
      const port = wire.destination_port ?? 0;
      if (port > MAX_PORT) reading.error(`${path}.destination_port`, `${port} is no port`);
      return [{ type: 'destination-port', port }];
    }
    case 'requested_server_name':
      return stringFromWire(
        wire.requested_server_name!,
        `${path}.requested_server_name`,
        reading,
      ).map((name) => ({ type: 'sni', name }));
    default:
  }
  reading.error(path, 'has no kind of permission that is known');
  return [];
}

function principalToWire(principal: Principal): WirePrincipalInput {
  switch (principal.type) {
    case 'any':
      return { any: true };
    case 'and':
      return { and_ids: { ids: principal.of.map(principalToWire) } };
    case 'or':
      return { or_ids: { ids: principal.of.map(principalToWire) } };
    case 'not':
      return { not_id: principalToWire(principal.of) };
    case 'authenticated':
      return {
        authenticated: {
          principal_name: principal.name === undefined ? null : spiffeToWire(principal.name),
        },
      };
    case 'direct-ip':
      return { direct_remote_ip: cidrToWire(principal.prefix) };
    case 'remote-ip':
      return { remote_ip: cidrToWire(principal.prefix) };
    case 'header':
      return { header: headerToWire(principal.header) };
    case 'claim':
      return { metadata: claimToWire(principal.path, principal.match) };
  }
}

function principalFromWire(wire: WirePrincipal, path: string, reading: Reading): Principal[] {
  const all = (set: { readonly ids: readonly WirePrincipal[] } | null | undefined, at: string) =>
    (set?.ids ?? []).flatMap((id, index) =>
      principalFromWire(id, `${path}.${at}.ids[${index}]`, reading),
    );
  switch (wire.identifier) {
    case 'any':
      return anyFromWire(wire.any, path, reading);
    case 'and_ids':
      return [{ type: 'and', of: all(wire.and_ids, 'and_ids') }];
    case 'or_ids':
      return [{ type: 'or', of: all(wire.or_ids, 'or_ids') }];
    case 'not_id':
      return principalFromWire(wire.not_id!, `${path}.not_id`, reading).map((of) => ({
        type: 'not',
        of,
      }));
    case 'authenticated': {
      const name = wire.authenticated?.principal_name ?? null;
      if (name === null) return [{ type: 'authenticated', name: undefined }];
      return spiffeFromWire(name, `${path}.authenticated.principal_name`, reading).map((match) => ({
        type: 'authenticated',
        name: match,
      }));
    }
    case 'direct_remote_ip':
      return cidrFromWire(wire.direct_remote_ip!, `${path}.direct_remote_ip`, reading).map(
        (prefix) => ({ type: 'direct-ip', prefix }),
      );
    case 'remote_ip':
      return cidrFromWire(wire.remote_ip!, `${path}.remote_ip`, reading).map((prefix) => ({
        type: 'remote-ip',
        prefix,
      }));
    case 'header':
      return headerFromWire(wire.header!, `${path}.header`, reading).map((header) => ({
        type: 'header',
        header,
      }));
    case 'metadata':
      return claimFromWire(wire.metadata!, `${path}.metadata`, reading);
    case 'sourced_metadata': {
      const { metadata_matcher, metadata_source } = wire.sourced_metadata!;
      if (metadata_matcher && metadata_source === 'DYNAMIC') {
        return claimFromWire(metadata_matcher, `${path}.sourced_metadata`, reading);
      }
      break;
    }
    default:
  }
  reading.error(path, 'has no kind of principal that is known');
  return [];
}

/** `any: false` has no meaning that Envoy accepts. */
function anyFromWire(
  any: boolean | undefined,
  path: string,
  { error }: Reading,
): { type: 'any' }[] {
  if (any !== true) error(`${path}.any`, 'is not true');
  return [{ type: 'any' }];
}
