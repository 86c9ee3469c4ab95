/**
 * istio.workload.Address ↔ Address.
 */
import type { Address } from '../../model/messages.ts';
import type { Codec } from '../codec.ts';
import { decodeWith, type Decoded } from './decoded.ts';
import { serviceFromWire, serviceToWire } from './service.ts';
import { workloadFromWire, workloadToWire } from './workload.ts';

export const ADDRESS_TYPE_URL = 'type.googleapis.com/istio.workload.Address';

export function encodeAddress(codec: Codec, address: Address): Uint8Array {
  return codec.address.encode(
    address.kind === 'workload'
      ? { workload: workloadToWire(address.workload, codec) }
      : { service: serviceToWire(address.service, codec) },
  );
}

export function decodeAddress(codec: Codec, bytes: Uint8Array): Decoded<Address> {
  return decodeWith((error): Address => {
    const { workload, service } = codec.address.decode(bytes);
    if (workload) return { kind: 'workload', workload: workloadFromWire(workload, codec, error) };
    if (service) {
      return { kind: 'service', service: serviceFromWire(service, codec, error) };
    }
    throw new Error('type: neither a workload nor a service');
  });
}
