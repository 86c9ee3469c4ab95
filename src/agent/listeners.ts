/**
 * The agent's listening sockets inside captured pods: on loopback, any free port, put into their slots (role, family,
 * worker). A listener in its slot is the agent's liveness for connect4/6 and sk_lookup: the kernel removes it with the process.
 */
import { addrFromText, ZERO_ADDR } from '../kernel/abi/address.ts';
import { AgentSock, AgentSockFlags, ListenerKey, ListenerRole } from '../kernel/abi/layout.gen.ts';
import type { Binding } from '../kernel/binding.ts';
import type { DataPath } from '../kernel/data-path.ts';
import type { CapturedPod, PodListeners } from '../kernel/pod-table.ts';
import type { Workers } from './data-plane/workers.ts';

const BACKLOG = 4096;
const ROLES = [
  ['outbound', ListenerRole.OUTBOUND],
  ['inbound', ListenerRole.INBOUND],
] as const;
const FAMILIES = [
  [4, '127.0.0.1'],
  [6, '::1'],
] as const;

/** What marks the agent's listening sockets, and the sockets accepted from them, for the kernel. */
const LISTENER = AgentSock.encode({
  flags: AgentSockFlags.LISTENER,
  identity: 0,
  client: ZERO_ADDR,
  clientPort: 0,
  pod: 0,
});

export class Listeners implements PodListeners {
  readonly #binding: Binding;
  readonly #path: DataPath;
  readonly #workers: Workers;
  readonly #open = new Map<number, CapturedPod>();

  constructor(options: { binding: Binding; path: DataPath; workers: Workers }) {
    this.#binding = options.binding;
    this.#path = options.path;
    this.#workers = options.workers;
  }

  open(pod: CapturedPod): void {
    this.#open.set(pod.id, pod);
    for (let worker = 0; worker < this.#workers.count; worker++) this.#listen(pod, worker);
  }

  close(pod: CapturedPod): void {
    this.#open.delete(pod.id);
    this.#clearSlots(pod);
    this.#workers.unlisten(pod.id);
  }

  /** New connections go as if the agent were gone; what has reached a listener is still accepted until the workers close. */
  retire(): void {
    for (const pod of this.#open.values()) this.#clearSlots(pod);
    this.#open.clear();
  }

  /** A worker was replaced: its slots get new listeners. */
  reopen(worker: number): void {
    for (const pod of this.#open.values()) this.#listen(pod, worker);
  }

  #clearSlots(pod: CapturedPod): void {
    const slots = this.#path.map('listeners');
    for (let worker = 0; worker < this.#workers.count; worker++) {
      for (const [, role] of ROLES) {
        for (const [family] of FAMILIES)
          slots.delete(ListenerKey.encode({ pod: pod.id, role, family, worker }));
      }
    }
  }

  #listen(pod: CapturedPod, worker: number): void {
    for (const [role, roleNumber] of ROLES) {
      for (const [family, address] of FAMILIES) {
        const { fd, port } = this.#binding.listenIn({
          netnsPath: pod.entry.netnsPath,
          family,
          addr: addrFromText(address),
          port: 0,
          backlog: BACKLOG,
          resetOnClose: true,
          storage: { map: this.#path.map('agent_socks'), value: LISTENER },
          slot: {
            map: this.#path.map('listeners'),
            key: ListenerKey.encode({ pod: pod.id, role: roleNumber, family, worker }),
          },
        });
        const { netnsPath, uid: podUid } = pod.entry;
        this.#workers.listen(
          worker,
          { role, podUid, podId: pod.id, netnsPath, netnsCookie: pod.netnsCookie, family, port },
          fd,
        );
      }
    }
  }
}
