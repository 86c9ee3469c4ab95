/**
 * How a Service wants its connections spread, as far as it says so itself; the scopes are those istiod sends.
 */
import {
  ALL_ENDPOINTS,
  type LoadBalancer,
  type LocalityPreference,
  type RoutingScope,
} from '../../model/service.ts';
import {
  DISTRIBUTION_ANNOTATION,
  invalidAnnotation,
  readLbPolicy,
  readMaxConnections,
} from './annotations.ts';
import { describe, type Fields } from './fields.ts';

const SAME_ZONE: readonly RoutingScope[] = ['NETWORK', 'REGION', 'ZONE'];
const SAME_NODE: readonly RoutingScope[] = [...SAME_ZONE, 'SUBZONE', 'NODE'];

/** trafficDistribution, in lower case: the annotation is read so */
const DISTRIBUTIONS: Readonly<Record<string, LocalityPreference>> = {
  preferclose: { mode: 'FAILOVER', routingPreference: SAME_ZONE },
  prefersamezone: { mode: 'FAILOVER', routingPreference: SAME_ZONE },
  prefersamenode: { mode: 'FAILOVER', routingPreference: SAME_NODE },
  preferany: ALL_ENDPOINTS,
};
const DISTRIBUTION_FIX = 'use PreferSameZone, PreferClose or PreferSameNode';

/** Kubernetes' own default and bounds. */
const DEFAULT_AFFINITY_SECONDS = 10_800;
const MAX_AFFINITY_SECONDS = 86_400;

export function readBalancing(
  spec: Fields,
  annotations: Fields,
): LoadBalancer & { readonly localityPreference: LocalityPreference } {
  return {
    lbPolicy: readLbPolicy(annotations),
    maxConnections: readMaxConnections(annotations),
    sessionAffinitySeconds: readAffinity(spec),
    localityPreference: readLocality(spec, annotations),
  };
}

/** internalTrafficPolicy is a rule, trafficDistribution a wish: the rule wins. */
function readLocality(spec: Fields, annotations: Fields): LocalityPreference {
  const distribution = readDistribution(spec, annotations);
  const policy = spec.string('internalTrafficPolicy');
  if (policy === 'Local') return { mode: 'STRICT', routingPreference: ['NODE'] };
  if (policy !== undefined && policy !== 'Cluster') {
    spec.invalid(
      'internalTrafficPolicy',
      `is ${describe(policy)}; Cluster is used`,
      'use Local or Cluster',
    );
  }
  return distribution;
}

/** The field first: the annotation is for clusters that do not have it yet. */
function readDistribution(spec: Fields, annotations: Fields): LocalityPreference {
  const field = spec.string('trafficDistribution');
  if (field !== undefined && field !== '') {
    const found = distributionOf(field);
    if (found !== undefined) return found;
    const message = `is ${describe(field)}; all endpoints are used alike`;
    spec.invalid('trafficDistribution', message, DISTRIBUTION_FIX);
  }
  const annotation = annotations.raw(DISTRIBUTION_ANNOTATION);
  if (annotation === undefined) return ALL_ENDPOINTS;
  const found = typeof annotation === 'string' ? distributionOf(annotation) : undefined;
  if (found !== undefined) return found;
  invalidAnnotation(
    annotations,
    DISTRIBUTION_ANNOTATION,
    annotation,
    'all endpoints are used alike',
    `${DISTRIBUTION_FIX} or PreferAny`,
  );
  return ALL_ENDPOINTS;
}

function distributionOf(text: string): LocalityPreference | undefined {
  const key = text.toLowerCase();
  return Object.hasOwn(DISTRIBUTIONS, key) ? DISTRIBUTIONS[key] : undefined;
}

function readAffinity(spec: Fields): number {
  const affinity = spec.string('sessionAffinity') ?? 'None';
  if (affinity === 'None') return 0;
  if (affinity !== 'ClientIP') {
    spec.invalid(
      'sessionAffinity',
      `is ${describe(affinity)}; None is used`,
      'use ClientIP or None',
    );
    return 0;
  }
  const config = spec.mapping('sessionAffinityConfig').mapping('clientIP');
  const seconds = config.raw('timeoutSeconds') ?? DEFAULT_AFFINITY_SECONDS;
  if (
    Number.isInteger(seconds) &&
    Number(seconds) >= 1 &&
    Number(seconds) <= MAX_AFFINITY_SECONDS
  ) {
    return Number(seconds);
  }
  config.invalid(
    'timeoutSeconds',
    `is ${describe(seconds)}; ${DEFAULT_AFFINITY_SECONDS} is used`,
    `use a number from 1 to ${MAX_AFFINITY_SECONDS}`,
  );
  return DEFAULT_AFFINITY_SECONDS;
}
