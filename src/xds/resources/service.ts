/**
 * istio.workload.Service ↔ Service.
 */
import { ipFamily, ipWireBytes } from '../../model/ip.ts';
import { LB_POLICIES, type LbPolicy, type Service } from '../../model/service.ts';
import type { Codec, WireService, WireServiceInput } from '../codec.ts';
import type { FieldError } from './decoded.ts';
import { addressFromWire, portFromWire, portToWire } from './workload.ts';

/** podwire's own extension; see proto/README.md */
const LB_EXTENSION = 'podwire.io/lb';
const STRING_TYPE_URL = 'type.googleapis.com/google.protobuf.StringValue';
const DEFAULT_LB_POLICY: LbPolicy = 'round-robin';

type StringCodec = Codec['stringValue'];

export function serviceToWire(service: Service, strings: StringCodec): WireServiceInput {
  const value = strings.encode({ value: service.lbPolicy });
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: service.addresses.map((ip) => ({ address: ipWireBytes(ip) })),
    ports: service.ports.map(portToWire),
    load_balancing: service.allowUnhealthy ? { health_policy: 'ALLOW_ALL' } : null,
    extensions:
      service.lbPolicy === DEFAULT_LB_POLICY
        ? []
        : [{ name: LB_EXTENSION, config: { type_url: STRING_TYPE_URL, value } }],
  };
}

export function serviceFromWire(
  wire: WireService,
  strings: StringCodec,
  error: FieldError,
): Service {
  if (wire.hostname === '') error('service.hostname', 'is missing');
  return {
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    addresses: wire.addresses.flatMap(({ address, length }, index) => {
      const ips = addressFromWire(address, `service.addresses[${index}]`, error);
      // A block of addresses is nobody's destination: the kernel balances single ones.
      return ips.filter((ip) => length === undefined || length === (ipFamily(ip) === 4 ? 32 : 128));
    }),
    ports: wire.ports.map((port, index) => portFromWire(port, `service.ports[${index}]`, error)),
    allowUnhealthy: wire.load_balancing?.health_policy === 'ALLOW_ALL',
    lbPolicy: lbPolicyOf(wire, strings),
  };
}

/** A balancer of a newer control plane falls back to the default: it is a preference, no protection. */
function lbPolicyOf(wire: WireService, strings: StringCodec): LbPolicy {
  const config = wire.extensions.find(({ name }) => name === LB_EXTENSION)?.config;
  if (config?.type_url !== STRING_TYPE_URL) return DEFAULT_LB_POLICY;
  const { value } = strings.decode(config.value);
  return LB_POLICIES.find((policy) => policy === value) ?? DEFAULT_LB_POLICY;
}
