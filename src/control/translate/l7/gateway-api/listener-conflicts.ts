/**
 * Listeners of one Gateway that cannot stand side by side.  None of them wins: all are refused.
 */
import type { GatewayApiListener } from '../../../../model/resource/gateway-api.ts';
import { EVERY_HOST, overlap } from './hostnames.ts';

export type ListenerConflict = 'ProtocolConflict' | 'HostnameConflict';

/** what one port can carry together */
export type Family = 'http' | 'tls' | 'tcp';

export function familyOf({ protocol }: GatewayApiListener): Family | undefined {
  switch (protocol) {
    case 'HTTP':
      return 'http';
    case 'HTTPS':
    case 'TLS':
      return 'tls';
    case 'TCP':
      return 'tcp';
    default:
      return undefined;
  }
}

/** By index.  Those of a protocol nobody serves disturb nobody. */
export function listenerConflicts(
  listeners: readonly GatewayApiListener[],
): Map<number, ListenerConflict> {
  const conflicts = new Map<number, ListenerConflict>();
  for (const [index, one] of listeners.entries()) {
    const family = familyOf(one);
    if (family === undefined) continue;
    for (const [other, two] of listeners.entries()) {
      const otherFamily = familyOf(two);
      if (other === index || otherFamily === undefined || two.port !== one.port) continue;
      if (otherFamily !== family) conflicts.set(index, 'ProtocolConflict');
      else if (sameHost(one, two, family) && !conflicts.has(index)) {
        conflicts.set(index, 'HostnameConflict');
      }
    }
  }
  return conflicts;
}

function sameHost(one: GatewayApiListener, two: GatewayApiListener, family: Family): boolean {
  return family === 'tcp' || listenerHost(one) === listenerHost(two);
}

/** Names of the other HTTPS listeners of its port whose host name and its own can mean the same host. */
export function tlsOverlaps(
  listener: GatewayApiListener,
  listeners: readonly GatewayApiListener[],
): string[] {
  if (listener.protocol !== 'HTTPS') return [];
  return listeners.flatMap((other) => {
    const beside = other !== listener && other.protocol === 'HTTPS' && other.port === listener.port;
    return beside && overlap([listenerHost(listener)], [listenerHost(other)]) ? [other.name] : [];
  });
}

export function listenerHost({ hostname }: GatewayApiListener): string {
  return (hostname || EVERY_HOST).toLowerCase();
}
