/**
 * istio.workload.GatewayAddress ↔ GatewayAddress.
 */
import { HBONE_PORT, type GatewayAddress } from '../../model/gateway-address.ts';
import { ipFromBytes, ipWireBytes } from '../../model/ip.ts';
import type { WireWorkload, WireWorkloadInput } from '../codec.ts';
import { MAX_PORT, type FieldError } from './decoded.ts';

export function gatewayAddressToWire(
  gateway: GatewayAddress | undefined,
): NonNullable<WireWorkloadInput['waypoint']> | null {
  if (gateway === undefined) return null;
  const { port: hbone_mtls_port } = gateway;
  if ('address' in gateway) {
    return { address: { address: ipWireBytes(gateway.address) }, hbone_mtls_port };
  }
  const slash = gateway.service.indexOf('/');
  const namespace = gateway.service.slice(0, slash);
  return { hostname: { namespace, hostname: gateway.service.slice(slash + 1) }, hbone_mtls_port };
}

/** What names no gateway is refused: traffic must not go past a waypoint because its address could not be read. */
export function gatewayAddressFromWire(
  wire: NonNullable<WireWorkload['waypoint']>,
  path: string,
  error: FieldError,
): GatewayAddress {
  const { hostname, address, hbone_mtls_port } = wire;
  const port = hbone_mtls_port || HBONE_PORT;
  if (port > MAX_PORT) error(`${path}.hbone_mtls_port`, `${port} is no port`);
  if (hostname) {
    if (hostname.hostname === '') error(`${path}.hostname.hostname`, 'is missing');
    return { service: `${hostname.namespace}/${hostname.hostname}`, port };
  }
  const ip = address && ipFromBytes(address.address);
  if (ip) return { address: ip, port };
  error(path, address ? 'has an address of neither 4 nor 16 bytes' : 'names no gateway');
  return { service: '', port };
}
