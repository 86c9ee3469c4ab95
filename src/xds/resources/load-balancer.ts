/**
 * podwire.v1.LoadBalancer, an extension of istio.workload.Service ↔ LoadBalancer.
 *
 * It travels as an Any under a name of its own: other clients of the mesh skip it and balance as they do by default.
 */
import { DEFAULT_LB_POLICY, type LbPolicy, type LoadBalancer } from '../../model/service.ts';
import type { Codec, WireService, WireServiceInput } from '../codec.ts';

/** see proto/README.md */
const EXTENSION = 'podwire.io/lb';
const TYPE_URL = 'type.googleapis.com/podwire.v1.LoadBalancer';

const POLICIES = {
  'round-robin': 'ROUND_ROBIN',
  random: 'RANDOM',
  'least-conn': 'LEAST_CONN',
  'least-latency': 'LEAST_LATENCY',
} as const satisfies Record<LbPolicy, string>;

const DEFAULT: LoadBalancer = {
  lbPolicy: DEFAULT_LB_POLICY,
  sessionAffinitySeconds: 0,
  maxConnections: 0,
};

/** Nothing where everything is as usual. */
export function loadBalancerToWire(
  { lbPolicy, sessionAffinitySeconds, maxConnections }: LoadBalancer,
  codec: Codec['loadBalancer'],
): NonNullable<WireServiceInput['extensions']> {
  if (lbPolicy === DEFAULT_LB_POLICY && sessionAffinitySeconds === 0 && maxConnections === 0) {
    return [];
  }
  const value = codec.encode({
    policy: POLICIES[lbPolicy],
    session_affinity_seconds: sessionAffinitySeconds,
    max_connections: maxConnections,
  });
  return [{ name: EXTENSION, config: { type_url: TYPE_URL, value } }];
}

/** A policy of a newer control plane falls back to the default: it is a preference, no protection. */
export function loadBalancerFromWire(
  extensions: WireService['extensions'],
  codec: Codec['loadBalancer'],
): LoadBalancer {
  const config = extensions.find(({ name }) => name === EXTENSION)?.config;
  if (config?.type_url !== TYPE_URL) return DEFAULT;
  const wire = codec.decode(config.value);
  const policy = (Object.keys(POLICIES) as LbPolicy[]).find(
    (name) => POLICIES[name] === wire.policy,
  );
  return {
    lbPolicy: policy ?? DEFAULT_LB_POLICY,
    sessionAffinitySeconds: wire.session_affinity_seconds,
    maxConnections: wire.max_connections,
  };
}
