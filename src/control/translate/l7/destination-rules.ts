/**
 * Which DestinationRules are in force for a host, seen by a client, and what they say of one port and subset.
 *
 * Looked for in the client's namespace, then in the Service's, then in the root namespace (the latter two as far as they
 * export them); the first that has any is the only one that counts, as in Istio.
 */
import type {
  DestinationRuleResource,
  PortTrafficPolicySpec,
  SubsetSpec,
  TrafficPolicySpec,
} from '../../../model/resource/destination-rule.ts';
import type { Catalog } from './catalog.ts';
import type { Client } from './client.ts';
import { exportedTo } from './visibility.ts';

export interface RulesInForce {
  readonly rules: readonly DestinationRuleResource[];
  readonly trafficPolicy: TrafficPolicySpec | undefined;
  readonly subsets: ReadonlyMap<string, SubsetSpec>;
}

const NONE: RulesInForce = { rules: [], trafficPolicy: undefined, subsets: new Map() };

/** What counts for one port. */
export interface PortPolicy extends Omit<PortTrafficPolicySpec, 'port'> {
  readonly proxyProtocol?: TrafficPolicySpec['proxyProtocol'];
  readonly tunnel?: TrafficPolicySpec['tunnel'];
}

export class DestinationRules {
  readonly #catalog: Catalog;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** `namespace`: of the Service */
  find(host: string, namespace: string, client: Client): RulesInForce {
    const { rootNamespace } = this.#catalog;
    const groups = [...this.#catalog.byHost('DestinationRule', host)];
    const own = mostSpecific(groups, (rule) => client.isIn(rule.namespace));
    // A rule of the Service's own namespace is found there next: that its clients are looked at twice changes nothing.
    const found =
      own ??
      mostSpecific(groups, (rule) => rule.namespace === namespace && visible(rule, client)) ??
      mostSpecific(groups, (rule) => rule.namespace === rootNamespace && visible(rule, client));
    return found === undefined ? NONE : inForce(found, client);
  }

  mentions(host: string): boolean {
    return !this.#catalog.byHost('DestinationRule', host).next().done;
  }
}

function visible({ spec, namespace }: DestinationRuleResource, client: Client): boolean {
  return exportedTo(spec.exportTo, namespace, client);
}

function mostSpecific(
  groups: readonly (readonly DestinationRuleResource[])[],
  counts: (rule: DestinationRuleResource) => boolean,
): readonly DestinationRuleResource[] | undefined {
  for (const group of groups) {
    const found = group.filter(counts);
    if (found.length > 0) return found;
  }
  return undefined;
}

/** Those that select the client's pods, or else those that select nobody in particular; the oldest leads. */
function inForce(found: readonly DestinationRuleResource[], client: Client): RulesInForce {
  const selecting = found.filter((rule) => selectorOf(rule) !== undefined);
  const chosen = selecting.filter((rule) => client.hasLabels(selectorOf(rule)));
  const rules = chosen.length > 0 ? chosen : found.filter((rule) => !selecting.includes(rule));
  const subsets = new Map<string, SubsetSpec>();
  for (const { spec } of rules) {
    for (const subset of spec.subsets ?? []) {
      if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
    }
  }
  const leading = rules.find(({ spec }) => spec.trafficPolicy !== undefined);
  return { rules, trafficPolicy: leading?.spec.trafficPolicy, subsets };
}

/** undefined: it is for everybody */
export function selectorOf({ spec }: DestinationRuleResource) {
  const labels = spec.workloadSelector?.matchLabels;
  return labels === undefined || Object.keys(labels).length === 0 ? undefined : labels;
}

/** Settings of a subset stand before those of the whole; settings of a port replace both. */
export function portPolicy(
  { trafficPolicy, subsets }: RulesInForce,
  subset: string,
  port: number,
): PortPolicy {
  const whole = applyPort({}, trafficPolicy, port);
  return applyPort(whole, subsets.get(subset)?.trafficPolicy, port);
}

function applyPort(
  base: PortPolicy,
  policy: TrafficPolicySpec | undefined,
  port: number,
): PortPolicy {
  if (policy === undefined) return base;
  const { portLevelSettings, ...whole } = policy;
  const merged: PortPolicy = { ...base, ...whole };
  const own = portLevelSettings?.find((setting) => setting.port?.number === port);
  if (own === undefined) return merged;
  const { proxyProtocol, tunnel } = merged;
  const { port: _, ...settings } = own;
  return {
    ...settings,
    ...(proxyProtocol && { proxyProtocol }),
    ...(tunnel && { tunnel }),
  };
}

/** Whether the kernel cannot do what is asked of a port: see ServiceTrafficPolicy for what it can. */
export function needsProxy(policy: PortPolicy): boolean {
  const { connectionPool, loadBalancer, outlierDetection, tls, proxyProtocol } = policy;
  return (
    outlierDetection !== undefined ||
    connectionPool?.http !== undefined ||
    loadBalancer?.consistentHash !== undefined ||
    loadBalancer?.warmup !== undefined ||
    loadBalancer?.warmupDurationSecs !== undefined ||
    loadBalancer?.localityLbSetting?.distribute !== undefined ||
    (tls?.mode !== undefined && tls.mode !== 'DISABLE' && tls.mode !== 'ISTIO_MUTUAL') ||
    proxyProtocol !== undefined
  );
}

export function hasPortSettings({ trafficPolicy }: RulesInForce, port: number): boolean {
  return trafficPolicy?.portLevelSettings?.some((own) => own.port?.number === port) === true;
}
