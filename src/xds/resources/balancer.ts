/**
 * How a cluster's requests are spread ↔ Balancer.
 *
 * Peak EWMA is written as a list of policies with least request behind it: an Envoy without the one takes the other.
 */
import type { Balancer } from '../../model/cluster.ts';
import type { EnvoyCodecs, WireCluster, WireClusterInput } from '../codec-envoy.ts';
import { pack, unpack, type Reading } from './reading.ts';
import { durationFromWire, durationToWire, percentFromWire, percentToWire } from './scalars.ts';

const PEAK_EWMA = 'envoy.load_balancing_policies.peak_ewma';
const LEAST_REQUEST = 'envoy.load_balancing_policies.least_request';
const DEFAULT_CHOICES = 2;
const DEFAULT_DECAY_MS = 10_000;
const DEFAULT_MIN_RING = 1024;
const DEFAULT_MAX_RING = 8 * 1024 * 1024;
const DEFAULT_MAGLEV_TABLE = 65_537;
const DEFAULT_PANIC_PERCENT = 50;

type Policy = Balancer['policy'];

export function balancerToWire(codec: EnvoyCodecs, balancer: Balancer): WireClusterInput {
  // Envoy takes no locality weights beside a list of policies: they are in its entries.
  const isListed = balancer.policy.type === 'peak-ewma';
  return {
    ...policyToWire(codec, balancer),
    common_lb_config: {
      healthy_panic_threshold: percentToWire(balancer.panicThreshold),
      ...(balancer.localityWeighted && !isListed ? { locality_weighted_lb_config: {} } : {}),
    },
  };
}

function policyToWire(
  codec: EnvoyCodecs,
  { policy, slowStartMs, localityWeighted }: Balancer,
): WireClusterInput {
  const slow_start_config =
    slowStartMs === undefined ? null : { slow_start_window: durationToWire(slowStartMs) };
  switch (policy.type) {
    case 'round-robin':
      return { lb_policy: 'ROUND_ROBIN', round_robin_lb_config: { slow_start_config } };
    case 'random':
      return { lb_policy: 'RANDOM' };
    case 'least-request': {
      const choice_count = { value: policy.choices };
      return {
        lb_policy: 'LEAST_REQUEST',
        least_request_lb_config: { choice_count, slow_start_config },
      };
    }
    case 'peak-ewma':
      return {
        load_balancing_policy: {
          policies: [
            policyOf(
              PEAK_EWMA,
              pack(codec.peakEwma, { decay_time: durationToWire(policy.decayMs) }),
            ),
            policyOf(
              LEAST_REQUEST,
              pack(codec.leastRequest, {
                slow_start_config,
                locality_lb_config: localityWeighted ? { locality_weighted_lb_config: {} } : null,
              }),
            ),
          ],
        },
      };
    case 'ring-hash': {
      const minimum_ring_size = { value: policy.minSize };
      const maximum_ring_size = { value: policy.maxSize };
      return {
        lb_policy: 'RING_HASH',
        ring_hash_lb_config: { minimum_ring_size, maximum_ring_size },
      };
    }
    case 'maglev':
      return {
        lb_policy: 'MAGLEV',
        maglev_lb_config: { table_size: { value: policy.tableSize } },
      };
    case 'passthrough':
      return { lb_policy: 'CLUSTER_PROVIDED' };
  }
}

function policyOf(name: string, typed_config: ReturnType<typeof pack>) {
  return { typed_extension_config: { name, typed_config } };
}

export function balancerFromWire(wire: WireCluster, path: string, reading: Reading): Balancer {
  const common = wire.common_lb_config;
  const slowStart = (wire.least_request_lb_config ?? wire.round_robin_lb_config)?.slow_start_config;
  const listed = listedPolicy(wire, path, reading);
  return {
    ...(listed ?? {
      policy: namedPolicy(wire, path, reading),
      slowStartMs: durationFromWire(slowStart?.slow_start_window ?? null),
      localityWeighted: (common?.locality_weighted_lb_config ?? null) !== null,
    }),
    panicThreshold: percentFromWire(
      common?.healthy_panic_threshold ?? { value: DEFAULT_PANIC_PERCENT },
    ),
  };
}

/** The first of the list that podwire knows, as Envoy chooses too; what goes with it may be with the one behind. */
function listedPolicy(
  wire: WireCluster,
  path: string,
  reading: Reading,
): Omit<Balancer, 'panicThreshold'> | undefined {
  const { codec } = reading;
  const policies = wire.load_balancing_policy?.policies ?? [];
  const configs = policies.map(
    ({ typed_extension_config }) => typed_extension_config?.typed_config,
  );
  const ewma = configs.flatMap((any) => unpack(any, codec.peakEwma) ?? [])[0];
  const least = configs.flatMap((any) => unpack(any, codec.leastRequest) ?? [])[0];
  const slowStart = least?.slow_start_config?.slow_start_window ?? null;
  const weighted = least?.locality_lb_config?.locality_weighted_lb_config ?? null;
  const common = { slowStartMs: durationFromWire(slowStart), localityWeighted: weighted !== null };
  if (ewma) {
    const decayMs = durationFromWire(ewma.decay_time) ?? DEFAULT_DECAY_MS;
    return { policy: { type: 'peak-ewma', decayMs }, ...common };
  }
  if (least) {
    const choices = least.choice_count?.value ?? DEFAULT_CHOICES;
    return { policy: { type: 'least-request', choices }, ...common };
  }
  if (policies.length > 0) reading.warn(`${path}load_balancing_policy`);
  return undefined;
}

function namedPolicy(wire: WireCluster, path: string, { warn }: Reading): Policy {
  const size = (wrapped: { readonly value: string } | null | undefined, absent: number) =>
    wrapped ? Number(wrapped.value) : absent;
  switch (wire.lb_policy) {
    case 'RANDOM':
      return { type: 'random' };
    case 'LEAST_REQUEST': {
      const choices = wire.least_request_lb_config?.choice_count?.value ?? DEFAULT_CHOICES;
      return { type: 'least-request', choices };
    }
    case 'RING_HASH': {
      const { minimum_ring_size, maximum_ring_size } = wire.ring_hash_lb_config ?? {};
      return {
        type: 'ring-hash',
        minSize: size(minimum_ring_size, DEFAULT_MIN_RING),
        maxSize: size(maximum_ring_size, DEFAULT_MAX_RING),
      };
    }
    case 'MAGLEV': {
      const tableSize = size(wire.maglev_lb_config?.table_size, DEFAULT_MAGLEV_TABLE);
      return { type: 'maglev', tableSize };
    }
    case 'CLUSTER_PROVIDED':
      return { type: 'passthrough' };
    case 'ROUND_ROBIN':
      return { type: 'round-robin' };
    case 'LOAD_BALANCING_POLICY_CONFIG':
    default:
      if (wire.load_balancing_policy === null) warn(`${path}lb_policy`);
      return { type: 'round-robin' };
  }
}
