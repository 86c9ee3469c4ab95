/**
 * Which policies need requests to be seen, and at which ports.
 */
import type {
  AuthorizationConditionSpec,
  AuthorizationOperationSpec,
  AuthorizationRuleSpec,
} from '../../../../model/resource/security.ts';
import { conditionAttribute, OPERATION_ATTRIBUTES, SOURCE_ATTRIBUTES } from './attribute.ts';
import { actionOf, type Policy } from './authorization-filters.ts';

/**
 * Whether only someone who sees requests can say what the policy wants at this port.  What is invalid refuses, and what is
 * attached to a Service is refused by the kernel as a whole.
 */
export function needsRequests(policy: Policy, port: number): boolean {
  const { l7, target } = policy;
  if (l7 === undefined) return false;
  if (target.type === 'references') return true;
  return requestRules(policy).some((rule) => mayMatchAt(rule, port));
}

/** Whether there is such a port. */
export function mayNeedRequests(policy: Policy): boolean {
  return policy.target.type === 'references' || requestRules(policy).length > 0;
}

function requestRules(policy: Policy): readonly AuthorizationRuleSpec[] {
  const rules = policy.l7?.rules ?? [];
  return actionOf(policy) === 'CUSTOM' ? rules : rules.filter(hasHttp);
}

function hasHttp({ from = [], to = [], when = [] }: AuthorizationRuleSpec): boolean {
  return (
    from.some(({ source = {} }) => setsHttp(source, SOURCE_ATTRIBUTES)) ||
    to.some(({ operation = {} }) => setsHttp(operation, OPERATION_ATTRIBUTES)) ||
    when.some(({ key }) => isHttpKey(key))
  );
}

/** Known per connection, but not to the kernel's half, which takes them for conditions on HTTP. */
const NOT_IN_KERNEL: readonly string[] = ['connection.sni', 'source.trustDomain'];

function isHttpKey(key: string): boolean {
  return conditionAttribute(key)?.attribute.http !== false || NOT_IN_KERNEL.includes(key);
}

function setsHttp(
  spec: object,
  attributes: Readonly<Record<string, { readonly http: boolean }>>,
): boolean {
  const fields = new Map(Object.entries(spec).map(([key, value]) => [key.toLowerCase(), value]));
  const isSet = (key: string): boolean => {
    const value: unknown = fields.get(key.toLowerCase());
    return Array.isArray(value) && value.length > 0;
  };
  // Trust domains: as above.
  return Object.entries(attributes).some(
    ([key, { http }]) => (http || key === 'trustDomains') && (isSet(key) || isSet(`not${key}`)),
  );
}

function mayMatchAt({ to = [], when = [] }: AuthorizationRuleSpec, port: number): boolean {
  const isInReach = to.length === 0 || to.some(({ operation = {} }) => reaches(operation, port));
  return isInReach && when.every((condition) => holdsAt(condition, port));
}

function reaches({ ports = [], notPorts = [] }: AuthorizationOperationSpec, port: number): boolean {
  return (ports.length === 0 || includes(ports, port)) && !includes(notPorts, port);
}

function holdsAt(
  { key, values = [], notValues = [] }: AuthorizationConditionSpec,
  port: number,
): boolean {
  if (key !== 'destination.port') return true;
  return reaches({ ports: values, notPorts: notValues }, port);
}

function includes(ports: readonly (string | number)[], port: number): boolean {
  return ports.some((text) => Number(text) === port);
}
