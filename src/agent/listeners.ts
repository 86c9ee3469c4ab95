/**
 * The agent's listening sockets inside captured pods: on loopback, any free port, put into their slots (role, family,
 * worker). A listener in its slot is the agent's liveness for connect4/6 and sk_lookup: the kernel removes it with the process.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { addrFromText, ZERO_ADDR } from '../kernel/abi/address.ts';
import { AgentSock, AgentSockFlags, ListenerKey, ListenerRole } from '../kernel/abi/layout.gen.ts';
import type { Binding } from '../kernel/binding.ts';
import type { DataPath } from '../kernel/data-path.ts';
import type { PodListeners } from '../kernel/pod-listeners.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
import { u64 } from '../kernel/typed-map.ts';
import type { ListenerInfo } from '../proxy/tcp-proxy.ts';
import type { Workers } from './data-plane/workers.ts';

const BACKLOG = 4096;
/** for the next agent to fill the slots */
const HANDOVER_MS = 8000;
const HANDOVER_POLL_MS = 20;
type Role = ListenerInfo['role'];
const ROLE_NUMBERS = {
  outbound: ListenerRole.OUTBOUND,
  inbound: ListenerRole.INBOUND,
  hbone: ListenerRole.HBONE,
} as const satisfies Record<Role, number>;
const NO_ROLES: ReadonlySet<Role> = new Set();
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
  /** by the pod's number */
  readonly #open = new Map<number, { pod: CapturedPod; roles: ReadonlySet<Role> }>();
  /** cookies of the listening sockets, by slot */
  readonly #cookies = new Map<string, bigint>();

  constructor(options: { binding: Binding; path: DataPath; workers: Workers }) {
    this.#binding = options.binding;
    this.#path = options.path;
    this.#workers = options.workers;
  }

  open(pod: CapturedPod, roles: ReadonlySet<Role>): void {
    const before = this.#open.get(pod.id)?.roles ?? NO_ROLES;
    if (roles.size === 0 && before.size === 0) return;
    this.#open.set(pod.id, { pod, roles: new Set([...before, ...roles]) });
    for (const role of roles) {
      if (before.has(role)) continue;
      for (let worker = 0; worker < this.#workers.count; worker++) this.#listen(pod, role, worker);
    }
  }

  keep(pod: CapturedPod, roles: ReadonlySet<Role>): void {
    const before = this.#open.get(pod.id)?.roles ?? NO_ROLES;
    const surplus = [...before].filter((role) => !roles.has(role));
    if (surplus.length === 0) return;
    if (roles.size === 0) this.#open.delete(pod.id);
    else this.#open.set(pod.id, { pod, roles });
    this.#close(pod.id, surplus);
  }

  /**
   * New connections go to the next agent where it has filled the slots in time, otherwise as if the agent were gone; what has
   * reached a listener is still accepted, and the workers finish.
   */
  async drain(hasSuccessor: boolean): Promise<void> {
    const end = Date.now() + HANDOVER_MS;
    while (hasSuccessor && this.#isAsked() && Date.now() < end) await sleep(HANDOVER_POLL_MS);
    for (const [id, { roles }] of this.#open) this.#clearSlots(id, [...roles]);
    this.#open.clear();
    await this.#workers.close();
  }

  /** A worker was replaced: its slots get new listeners. */
  reopen(worker: number): void {
    for (const { pod, roles } of this.#open.values()) {
      for (const role of roles) this.#listen(pod, role, worker);
    }
  }

  #close(podId: number, roles: readonly Role[]): void {
    if (roles.length === 0) return;
    this.#clearSlots(podId, roles);
    this.#workers.unlisten(podId, roles);
  }

  /** Those that are still this agent's: the next one may have put its own listeners there. */
  #clearSlots(podId: number, roles: readonly Role[]): void {
    const slots = this.#path.map('listeners');
    for (const key of this.#slotKeys(podId, roles)) {
      if (this.#holds(key)) slots.delete(key);
      this.#cookies.delete(nameOf(key));
    }
  }

  /** The next agent has neither filled the slots nor begun a generation with slots of its own. */
  #isAsked(): boolean {
    if (this.#path.isRetired) return false;
    for (const [id, { roles }] of this.#open) {
      for (const key of this.#slotKeys(id, roles)) if (this.#holds(key)) return true;
    }
    return false;
  }

  #holds(key: Uint8Array): boolean {
    const cookie = this.#path.map('listeners').lookup(key);
    return cookie !== undefined && u64.decode(cookie) === this.#cookies.get(nameOf(key));
  }

  *#slotKeys(podId: number, roles: Iterable<Role>): IterableIterator<Uint8Array> {
    for (const role of roles) {
      for (const [family] of FAMILIES) {
        for (let worker = 0; worker < this.#workers.count; worker++)
          yield slotKey(podId, role, family, worker);
      }
    }
  }

  #listen(pod: CapturedPod, role: Role, worker: number): void {
    for (const [family, address] of FAMILIES) {
      const key = slotKey(pod.id, role, family, worker);
      const { fd, port } = this.#binding.listenIn({
        netnsPath: pod.entry.netnsPath,
        family,
        addr: addrFromText(address),
        port: 0,
        backlog: BACKLOG,
        resetOnClose: true,
        storage: { map: this.#path.map('agent_socks'), value: LISTENER },
        slot: { map: this.#path.map('listeners'), key },
      });
      this.#cookies.set(nameOf(key), this.#binding.socketCookie(fd));
      const { netnsPath, uid: podUid } = pod.entry;
      this.#workers.listen(
        worker,
        {
          ...{ role, podUid, podId: pod.id, netnsPath, netnsCookie: pod.netnsCookie, family, port },
          provenance: !pod.entry.tunnelOnly,
        },
        fd,
      );
    }
  }
}

function slotKey(pod: number, role: Role, family: 4 | 6, worker: number): Uint8Array {
  return ListenerKey.encode({ pod, role: ROLE_NUMBERS[role], family, worker });
}

function nameOf(slot: Uint8Array): string {
  return Buffer.from(slot).toString('latin1');
}
