/**
 * Which keys a change of Sidecars touches: those of the hosts it lists in another way than before, or all of them.
 */
import { equal } from '../../../model/equal.ts';
import type { SidecarResource } from '../../../model/resource/sidecar.ts';

/** of which Sidecars there are, whom they are for and what they say of every host */
export const SIDECARS = 'all';

/** what a host is found under by the patterns of egress listeners: see patternsOf */
export const sidecarHostKey = (pattern: string): string => `host ${pattern}`;

interface Pending {
  readonly before: SidecarResource | undefined;
  readonly after: SidecarResource | undefined;
}

export class SidecarChanges {
  /** by cluster and id */
  readonly #pending = new Map<string, Pending>();

  change(sidecar: SidecarResource, present: boolean): void {
    const key = `${sidecar.cluster ?? ''} ${sidecar.id}`;
    const known = this.#pending.get(key);
    this.#pending.set(key, {
      // What was there at the last flush stays what the change is compared with.
      before: known === undefined ? (present ? undefined : sidecar) : known.before,
      after: present ? sidecar : undefined,
    });
  }

  /** The keys touched since the last call. */
  flush(): Set<string> {
    const keys = new Set<string>();
    for (const { before, after } of this.#pending.values()) {
      if (before === after) continue;
      const listed = before && after && equal(general(before), general(after));
      const patterns = listed ? differing(before, after) : undefined;
      if (patterns === undefined) keys.add(SIDECARS);
      for (const pattern of patterns ?? []) keys.add(sidecarHostKey(pattern));
    }
    this.#pending.clear();
    return keys;
  }
}

/** What matters to hosts that no pattern names: a port with a listener of its own hides all that it does not list. */
function general({ namespace, name, createdAt, spec }: SidecarResource): unknown {
  const { egress = [], workloadSelector, outboundTrafficPolicy } = spec;
  const ports = new Set(egress.map(({ port }) => port?.number ?? 0));
  return {
    ...{ namespace, name, createdAt, workloadSelector, outboundTrafficPolicy },
    ports: [...ports].sort((a, b) => a - b),
  };
}

/** undefined: hosts are found by no pattern alone */
function differing(before: SidecarResource, after: SidecarResource): Set<string> | undefined {
  const [old, now] = [entriesOf(before), entriesOf(after)];
  const patterns = new Set<string>();
  for (const entry of [...old, ...now]) {
    if (old.has(entry) && now.has(entry)) continue;
    const pattern = entry.slice(entry.indexOf('/') + 1);
    const isPlain = !pattern.startsWith('*') || pattern === '*' || pattern.startsWith('*.');
    if (!isPlain) return undefined;
    patterns.add(pattern);
  }
  return patterns;
}

/** "port namespace/pattern" */
function entriesOf({ spec }: SidecarResource): Set<string> {
  return new Set(
    (spec.egress ?? []).flatMap(({ port, hosts }) =>
      hosts.map((host) => `${port?.number ?? 0} ${host}`),
    ),
  );
}
