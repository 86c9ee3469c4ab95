/**
 * What a Gateway's status says of it as a whole.
 */
import type { ReachableAddress } from '../../../../model/resource.ts';
import type { GatewayApiGatewayResource } from '../../../../model/resource/gateway-api.ts';
import type { ApiReport } from './report.ts';
import {
  judged,
  no,
  yes,
  type GatewayVerdict,
  type ListenerVerdict,
  type Verdict,
} from './verdict.ts';
import type { ApiView } from './view.ts';

/** the most a status may have */
const MAX_ADDRESSES = 16;

export function gatewayVerdict(
  gateway: GatewayApiGatewayResource,
  listeners: readonly ListenerVerdict[],
  view: ApiView,
  report: ApiReport,
): Omit<GatewayVerdict, 'references'> {
  return {
    kind: 'gateway',
    ...judged(gateway),
    accepted: acceptedOf(listeners),
    programmed: programmedOf(gateway, listeners, view, report),
    addresses: addressesOf(gateway, view),
    listeners,
  };
}

/** What is left out is said; the rest is served. */
function acceptedOf(listeners: readonly ListenerVerdict[]): Verdict {
  const bad = listeners.filter(({ accepted }) => !accepted.ok);
  if (bad.length === 0) return yes('Accepted');
  const lines = bad.map(({ name, accepted }) => `listener ${name}: ${accepted.message}`);
  return {
    ok: bad.length < listeners.length,
    reason: 'ListenersNotValid',
    message: lines.join('; '),
  };
}

function programmedOf(
  gateway: GatewayApiGatewayResource,
  listeners: readonly ListenerVerdict[],
  view: ApiView,
  report: ApiReport,
): Verdict {
  const unusable = unusableAddresses(gateway, view);
  if (unusable.length > 0) {
    const message = 'podwire listens on the addresses of the gateway’s pods and its Services';
    report.warn('NOT_SUPPORTED', 'spec.addresses', message, 'remove it; use a Service');
    return no('AddressNotUsable', `${message}, and not on ${unusable.join(', ')}`);
  }
  if (listeners.some(({ programmed }) => programmed.ok)) return yes('Programmed');
  const lines = listeners.map(({ name, programmed }) => `listener ${name}: ${programmed.message}`);
  return no('Invalid', lines.join('; '));
}

/** Of those that were asked for. */
function unusableAddresses(gateway: GatewayApiGatewayResource, view: ApiView): string[] {
  const { namespace, name, spec } = gateway;
  const known = new Set(addressesOf(gateway, view).map(({ value }) => value));
  for (const service of view.gatewayServices(namespace, name)) {
    known.add(`${service.name}.${namespace}.svc.${view.domain}`);
  }
  return (spec.addresses ?? []).map(({ value }) => value).filter((value) => !known.has(value));
}

/** Of its Services: where their load balancers are reached from outside, else inside the cluster. */
function addressesOf(
  { namespace, name }: GatewayApiGatewayResource,
  view: ApiView,
): ReachableAddress[] {
  const found = new Map<string, ReachableAddress>();
  for (const { ingress = [], addresses } of view.gatewayServices(namespace, name)) {
    const inside = addresses.map((value) => ({ type: 'IPAddress' as const, value }));
    for (const one of ingress.length > 0 ? ingress : inside) found.set(one.value, one);
  }
  return [...found.values()]
    .toSorted((a, b) => (a.value < b.value ? -1 : 1))
    .slice(0, MAX_ADDRESSES);
}
