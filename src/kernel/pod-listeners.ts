/** What the kernel's side asks of the agent's listening sockets in pods. */
import type { CapturedPod } from './pod-table.ts';

/** What a listener is for: see enum listener_role. */
export type ListenerRole = 'outbound' | 'inbound' | 'hbone';

/** Who serves a pod's listeners; told before the kernel sends anything there, and after it has stopped. */
export interface PodListeners {
  /** those of these roles that are not open yet */
  open(pod: CapturedPod, roles: ReadonlySet<ListenerRole>): void;
  /** closes those of other roles */
  keep(pod: CapturedPod, roles: ReadonlySet<ListenerRole>): void;
}
