/**
 * What a host stands for: exactly, or by the longest wildcard.
 */
import type { ServiceResource } from '../../../model/resource.ts';
import type { ServiceEntryResource } from '../../../model/resource/service-entry.ts';
import { hostKey } from './keys.ts';
import type { View } from './reference-graph.ts';
import { isVisible } from './visibility.ts';

export type HostOwner = ServiceResource | ServiceEntryResource;

/** "a.b.c" → itself, "*.b.c", "*.c", "*" */
export function* namesFor(host: string): IterableIterator<string> {
  yield host;
  let rest = host.startsWith('*.') ? host.slice(2) : host;
  for (let dot = rest.indexOf('.'); dot >= 0; dot = rest.indexOf('.')) {
    rest = rest.slice(dot + 1);
    yield `*.${rest}`;
  }
  if (host !== '*') yield '*';
}

/** As clients of `namespace` see it. */
export function ownersOf(host: string, namespace: string, view: View): HostOwner[] {
  for (const name of namesFor(host)) {
    const owners: HostOwner[] = [];
    for (const resource of view.find(hostKey(name))) {
      if (resource.kind !== 'Service' && resource.kind !== 'ServiceEntry') continue;
      const exportTo = resource.kind === 'Service' ? resource.exportTo : resource.spec.exportTo;
      if (isVisible(namespace, resource.namespace, exportTo)) owners.push(resource);
    }
    if (owners.length > 0) return owners;
  }
  return [];
}

/** undefined: any (an entry without ports) */
export function portsOf(owners: readonly HostOwner[]): Set<number> | undefined {
  const ports = new Set<number>();
  for (const owner of owners) {
    const list =
      owner.kind === 'Service'
        ? owner.ports.map(({ port }) => port)
        : (owner.spec.ports ?? []).map(({ number }) => number);
    if (list.length === 0 && owner.kind === 'ServiceEntry') return undefined;
    for (const port of list) ports.add(port);
  }
  return ports;
}
