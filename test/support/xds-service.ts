/**
 * Services for tests, as they come over the wire.
 */
import { ipWireBytes, parseIp } from '../../src/model/ip.ts';
import type { Address } from '../../src/model/messages.ts';
import { decodeAddress } from '../../src/xds/resources/address.ts';
import { codec } from './xds-client.ts';

export function service(name: string, ip: string): Extract<Address, { readonly kind: 'service' }> {
  const bytes = codec.address.encode({
    service: {
      name,
      namespace: 'default',
      hostname: `${name}.default.svc.cluster.local`,
      addresses: [{ network: '', address: Buffer.from(ipWireBytes(parseIp(ip)!)) }],
      ports: [{ service_port: 80, target_port: 8080 }],
    },
  });
  const decoded = decodeAddress(codec, bytes);
  if (!decoded.ok || decoded.value.kind !== 'service') throw new Error(JSON.stringify(decoded));
  return decoded.value;
}
