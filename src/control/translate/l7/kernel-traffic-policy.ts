/**
 * What the kernel carries out of DestinationRules: per Service, for all clients alike.
 *
 * The rule in force is the one a client sees that no rule names.  Settings of single ports, of subsets and of clients'
 * own namespaces are the proxy's business.
 */
import type {
  DestinationRuleResource,
  LoadBalancerSpec,
} from '../../../model/resource/destination-rule.ts';
import {
  ALL_ENDPOINTS,
  type LbPolicy,
  type LocalityPreference,
  type RoutingScope,
  type ServiceTrafficPolicy,
} from '../../../model/service.ts';
import { matchesPattern, type Catalog } from './catalog.ts';
import { Client } from './client.ts';
import type { DestinationRules } from './destination-rules.ts';

const PLACES: readonly RoutingScope[] = ['NETWORK', 'REGION', 'ZONE', 'SUBZONE'];

/** What failoverPriority calls them. */
const SCOPES: Readonly<Record<string, RoutingScope>> = {
  'topology.istio.io/network': 'NETWORK',
  'topology.istio.io/cluster': 'CLUSTER',
  'topology.kubernetes.io/region': 'REGION',
  'topology.kubernetes.io/zone': 'ZONE',
  'topology.istio.io/subzone': 'SUBZONE',
  'kubernetes.io/hostname': 'NODE',
};

const POLICIES: Readonly<Record<NonNullable<LoadBalancerSpec['simple']>, LbPolicy | undefined>> = {
  UNSPECIFIED: undefined,
  PASSTHROUGH: undefined,
  ROUND_ROBIN: 'round-robin',
  RANDOM: 'random',
  LEAST_CONN: 'least-conn',
  LEAST_REQUEST: 'least-conn',
};

export class KernelTrafficPolicies {
  readonly #catalog: Catalog;
  readonly #rules: DestinationRules;
  /** hosts of the rules that changed, which may be wildcards */
  readonly #changed = new Set<string>();

  constructor(catalog: Catalog, rules: DestinationRules) {
    this.#catalog = catalog;
    this.#rules = rules;
  }

  change({ spec, namespace }: DestinationRuleResource): void {
    this.#changed.add(this.#catalog.fullHost(spec.host, namespace));
  }

  /** Those of the Services' keys that may have another policy since the last call. */
  flush(keys: Iterable<string>): string[] {
    if (this.#changed.size === 0) return [];
    const wildcards = [...this.#changed].filter((host) => host.startsWith('*'));
    const stale = [...keys].filter((key) => {
      const host = key.slice(key.indexOf('/') + 1);
      return this.#changed.has(host) || wildcards.some((pattern) => matchesPattern(pattern, host));
    });
    this.#changed.clear();
    return stale;
  }

  policyOf(key: string): ServiceTrafficPolicy | undefined {
    const slash = key.indexOf('/');
    const [namespace, host] = [key.slice(0, slash), key.slice(slash + 1)];
    const { trafficPolicy } = this.#rules.find(host, namespace, new Client(undefined));
    if (trafficPolicy === undefined) return undefined;
    const { connectionPool, loadBalancer } = trafficPolicy;
    const maxConnections = connectionPool?.tcp?.maxConnections;
    const lbPolicy = loadBalancer?.simple && POLICIES[loadBalancer.simple];
    const localityPreference = preferenceOf(
      loadBalancer,
      trafficPolicy.outlierDetection !== undefined,
    );
    return {
      ...(lbPolicy && { lbPolicy }),
      ...(maxConnections === undefined ? {} : { maxConnections }),
      ...(localityPreference && { localityPreference }),
    };
  }
}

/**
 * Failover from near to far, or in the order of the labels; shares (distribute) are more than the kernel can do, and so are
 * labels of pods: the labels before the first of these count.
 */
function preferenceOf(
  loadBalancer: LoadBalancerSpec | undefined,
  outliers: boolean,
): LocalityPreference | undefined {
  if (loadBalancer?.simple === 'PASSTHROUGH') return { mode: 'PASSTHROUGH', routingPreference: [] };
  const setting = loadBalancer?.localityLbSetting;
  if (setting?.enabled === false) return ALL_ENDPOINTS;
  if (setting === undefined || !outliers || (setting.distribute ?? []).length > 0) return undefined;
  const { failoverPriority = [] } = setting;
  if (failoverPriority.length === 0) return { mode: 'FAILOVER', routingPreference: PLACES };
  const scopes = failoverPriority.map((label) => SCOPES[label]);
  const known = scopes.slice(0, [...scopes, undefined].indexOf(undefined));
  return { mode: 'FAILOVER', routingPreference: known as readonly RoutingScope[] };
}
