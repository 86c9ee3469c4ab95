/**
 * AuthorizationPolicy as Istio documents it, evaluated straight from what is written: knows nothing of RBAC.
 */
import type {
  AuthorizationConditionSpec,
  AuthorizationOperationSpec,
  AuthorizationPolicySpec,
  AuthorizationRuleSpec,
  AuthorizationSourceSpec,
} from '../../../../src/model/resource/security.ts';
import type { TestRequest } from './request.ts';

export interface WrittenPolicy {
  readonly namespace: string;
  readonly dryRun: boolean;
  readonly spec: AuthorizationPolicySpec;
}

/** CUSTOM policies ask somebody else: whether one is asked, and what the others decide. */
export function decide(
  policies: readonly WrittenPolicy[],
  request: TestRequest,
): { readonly allowed: boolean; readonly asks: boolean; readonly logs: boolean } {
  const of = (action: string) =>
    policies.filter(({ spec, dryRun }) => (spec.action ?? 'ALLOW') === action && !dryRun);
  const hit = (list: readonly WrittenPolicy[]) => list.some((policy) => matches(policy, request));
  const allowing = of('ALLOW');
  const allowed = !hit(of('DENY')) && (allowing.length === 0 || hit(allowing));
  return { allowed, asks: hit(of('CUSTOM')), logs: allowed && hit(of('AUDIT')) };
}

function matches({ spec, namespace }: WrittenPolicy, request: TestRequest): boolean {
  return (spec.rules ?? []).some((rule) => ruleMatches(rule, request, namespace));
}

function ruleMatches(rule: AuthorizationRuleSpec, request: TestRequest, own: string): boolean {
  const { from = [], to = [], when = [] } = rule;
  return (
    (from.length === 0 || from.some(({ source }) => sourceMatches(source!, request, own))) &&
    (to.length === 0 || to.some(({ operation }) => operationMatches(operation!, request))) &&
    when.every((condition) => conditionMatches(condition, request))
  );
}

function sourceMatches(
  source: AuthorizationSourceSpec,
  request: TestRequest,
  own: string,
): boolean {
  const [, namespace, account] = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(request.principal ?? '') ?? [];
  const token = tokenPrincipal(request);
  const isAccount = (text: string) =>
    namespace !== undefined &&
    (text.includes('/')
      ? text === `${namespace}/${account}`
      : text === account && own === namespace);
  return (
    field(source.principals, source.notPrincipals, (p) => text(p, request.principal)) &&
    field(source.requestPrincipals, source.notRequestPrincipals, (p) => text(p, token)) &&
    field(source.namespaces, source.notNamespaces, (p) => text(p, namespace)) &&
    field(source.serviceAccounts, source.notServiceAccounts, isAccount) &&
    field(source.ipBlocks, source.notIpBlocks, (p) => inBlock(p, request.ip)) &&
    field(source.remoteIpBlocks, source.notRemoteIpBlocks, (p) => inBlock(p, request.remoteIp))
  );
}

function operationMatches(operation: AuthorizationOperationSpec, request: TestRequest): boolean {
  const { ports = [], notPorts = [] } = operation;
  const path = request.path.split('?')[0]!;
  return (
    field(operation.hosts, operation.notHosts, (p) =>
      text(p.toLowerCase(), request.host.toLowerCase()),
    ) &&
    field(ports.map(String), notPorts.map(String), (p) => Number(p) === request.port) &&
    field(operation.methods, operation.notMethods, (p) => text(p, request.method)) &&
    field(operation.paths, operation.notPaths, (p) =>
      p.includes('{') ? template(p.split('/'), path.split('/')) : text(p, path),
    )
  );
}

function conditionMatches(
  { key, values, notValues }: AuthorizationConditionSpec,
  request: TestRequest,
): boolean {
  const by = (test: (pattern: string) => boolean) => field(values, notValues, test);
  const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1];
  if (header !== undefined) {
    const value = request.headers[header.toLowerCase()];
    // "*" asks only that the header is there.
    return by((p) => (p === '*' ? value !== undefined : text(p, value)));
  }
  const claim = /^request\.auth\.claims\[(.+)\]$/.exec(key)?.[1];
  if (claim !== undefined) return by((p) => claimMatches(p, claim.split(']['), request));
  switch (key) {
    case 'source.ip':
      return by((p) => inBlock(p, request.ip));
    case 'remote.ip':
      return by((p) => inBlock(p, request.remoteIp));
    case 'destination.ip':
      return by((p) => inBlock(p, request.destinationIp));
    case 'destination.port':
      return by((p) => Number(p) === request.port);
    case 'connection.sni':
      return by((p) => text(p, request.sni));
    case 'source.principal':
      return by((p) => text(p, request.principal));
    case 'source.namespace':
      return by((p) => text(p, /\/ns\/([^/]+)/.exec(request.principal ?? '')?.[1]));
    case 'request.auth.principal':
      return by((p) => text(p, tokenPrincipal(request)));
    case 'request.auth.audiences':
      return by((p) => claimMatches(p, ['aud'], request));
    case 'request.auth.presenter':
      return by((p) => claimMatches(p, ['azp'], request));
    default:
      throw new Error(key);
  }
}

function field(
  wanted: readonly string[] | undefined,
  unwanted: readonly string[] | undefined,
  test: (pattern: string) => boolean,
): boolean {
  return (!wanted?.length || wanted.some(test)) && !unwanted?.some(test);
}

function text(pattern: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (pattern === '*') return value !== '';
  if (pattern.startsWith('*')) return value.endsWith(pattern.slice(1));
  if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1));
  return pattern === value;
}

function template(pattern: readonly string[], path: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return path.length === 0;
  if (first === '{**}') {
    // at least what stands between two slashes, which may be nothing
    return path.some((_, index) => template(rest, path.slice(index + 1)));
  }
  const [segment, ...more] = path;
  if (segment === undefined || (first === '{*}' ? segment === '' : first !== segment)) return false;
  return template(rest, more);
}

function claimMatches(pattern: string, path: readonly string[], request: TestRequest): boolean {
  const value = path.reduce<unknown>(
    (found, key) => (found as Record<string, unknown> | undefined)?.[key],
    request.claims,
  );
  const texts = (Array.isArray(value) ? value : [value]) as (string | undefined)[];
  return texts.some((item) => typeof item === 'string' && text(pattern, item));
}

function tokenPrincipal({ claims }: TestRequest): string | undefined {
  return claims && `${claims['iss'] as string}/${claims['sub'] as string}`;
}

/** IPv4 */
function inBlock(block: string, address: string): boolean {
  const number = (text: string) =>
    text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const [base = '', length = '32'] = block.split('/');
  const size = 2 ** (32 - Number(length));
  return Math.floor(number(base) / size) === Math.floor(number(address) / size);
}
