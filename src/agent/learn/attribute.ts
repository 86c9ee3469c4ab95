/**
 * Whose behaviour was it?  The observer's programs know executable, namespace and arguments; trust belongs to
 * executable and workload, and only for interpreters to the arguments too.
 */
import type { LearnPod } from './learn-pod.ts';
import type { Observed, ObservationSource } from './observation.ts';
import { keyText } from './trust-map.ts';
import type { TrustEntry } from './trust-map.ts';

export interface Attributed extends Pick<Observed, 'behaviours'> {
  readonly entry: TrustEntry;
}

export function attribute(
  observation: Pick<ObservationSource, 'observed'>,
  pods: Iterable<LearnPod>,
  entries: ReadonlyMap<string, TrustEntry>,
): Attributed[] {
  const workloads = new Map([...pods].map((pod) => [pod.netns, pod.workload]));
  return observation.observed().flatMap(({ key, behaviours }) => {
    const { inode, device } = key;
    const workload = workloads.get(key.netns);
    if (workload === undefined) return [];
    return [0n, key.argv].flatMap((argv) => {
      const entry = entries.get(keyText({ inode, device, workload, argv }));
      return entry === undefined || entry.flags.interpreter ? [] : [{ entry, behaviours }];
    });
  });
}
