/**
 * Connections of captured pods that are older than their capture: no program has met them, so nothing is counted, spliced
 * or denied, and nobody's identity is known. They are looked up in the pods' namespaces when somebody asks.
 */
import type { PlanState } from '../compile/kernel/plan.ts';
import type { Binding, NativeError } from '../kernel/binding.ts';
import type { Connections } from '../kernel/connections.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import { listTcpSockets, type TcpEnd, type TcpSocket } from '../kernel/tcp-sockets.ts';
import type { FlowParty } from '../telemetry/flow-info.ts';

export interface PreMeshConnection {
  /** socket cookie of the client's end, or of the server's where the client is not ours */
  readonly id: bigint;
  readonly source: FlowParty;
  readonly destination: FlowParty;
  /** it was there by then */
  readonly before: Date;
  /** client → server */
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  readonly rttUs: number;
}

/** One end, in one pod. */
interface End {
  readonly pod: CapturedPod;
  readonly socket: TcpSocket;
  /** something listens on its port */
  readonly served: boolean;
}

export interface PreMeshOptions {
  readonly binding: Binding;
  readonly connections: Connections;
  readonly reconciler: Reconciler;
  readonly state: () => PlanState;
}

export class PreMesh {
  readonly #options: PreMeshOptions;

  constructor(options: PreMeshOptions) {
    this.#options = options;
  }

  /**
   * Sockets without a conn. One that ends between the reading of sockets and of conns is in the first only, so what seems
   * unknown is looked for once more; one that opens is in neither or, as its conn is there first, in both.
   */
  list(): PreMeshConnection[] {
    const { connections, reconciler } = this.#options;
    const ends = reconciler.captured().flatMap((pod) => this.#endsOf(pod));
    const met = new Set(connections.views().map(({ cookie }) => cookie));
    const unknown = ends.filter(({ socket }) => !met.has(socket.cookie));
    const pods = new Set(unknown.map(({ pod }) => pod));
    const alive = new Set(
      [...pods].flatMap((pod) => this.#endsOf(pod)).map(({ socket }) => socket.cookie),
    );
    return this.#join(unknown.filter(({ socket }) => alive.has(socket.cookie)));
  }

  /** Established sockets; none where the namespace is gone, or the kernel has no tcp_diag. */
  #endsOf(pod: CapturedPod): End[] {
    let sockets: TcpSocket[];
    try {
      sockets = listTcpSockets(this.#options.binding, pod.entry.netnsPath);
    } catch (error) {
      if ((error as NativeError).code === 'ENOENT') return [];
      throw error;
    }
    const ports = new Set(
      sockets.filter(({ state }) => state === 'listening').map(({ local }) => local.port),
    );
    return sockets
      .filter(({ state }) => state === 'established')
      .map((socket) => ({ pod, socket, served: ports.has(socket.local.port) }));
  }

  #join(ends: readonly End[]): PreMeshConnection[] {
    const byTuple = new Map(ends.map((end) => [tuple(end, 'local', 'remote'), end]));
    const joined = new Set<End>();
    return ends.flatMap((end) => {
      if (joined.has(end)) return [];
      const other = byTuple.get(tuple(end, 'remote', 'local'));
      const peer = other === end ? undefined : other;
      joined.add(end);
      if (peer) joined.add(peer);
      const [client, server] = isServer(end, peer) ? [peer, end] : [end, peer];
      return [this.#connection(client, server)];
    });
  }

  #connection(client: End | undefined, server: End | undefined): PreMeshConnection {
    const known = (client ?? server)!;
    const [from, to] = client
      ? [client.socket.local, client.socket.remote]
      : [known.socket.remote, known.socket.local];
    const before = Math.max(...[client, server].map((end) => end?.pod.since.getTime() ?? 0));
    return {
      id: known.socket.cookie,
      source: this.#party(from, client),
      destination: this.#party(to, server),
      before: new Date(before),
      bytesSent: server ? server.socket.bytesReceived : acked(known.socket),
      bytesReceived: client ? client.socket.bytesReceived : known.socket.bytesAcked,
      rttUs: known.socket.rttUs,
    };
  }

  #party({ address, port }: TcpEnd, end: End | undefined): FlowParty {
    const { snapshot } = this.#options.state();
    const uid = end?.pod.entry.uid ?? snapshot.byAddress.get(address)?.[0] ?? '';
    return { address, port, workload: snapshot.workloads.get(uid), identity: '' };
  }
}

/** Without its SYN. */
function acked({ bytesAcked }: TcpSocket): bigint {
  return bytesAcked > 0n ? bytesAcked - 1n : 0n;
}

/** The end whose port is listened on; where that says nothing (the listener is gone), the one with the lower port. */
function isServer(end: End, peer: End | undefined): boolean {
  if (end.served !== (peer?.served ?? false)) return end.served;
  return end.socket.local.port < end.socket.remote.port;
}

/** The same loopback addresses stand in every pod. */
function tuple({ pod, socket }: End, from: 'local' | 'remote', to: 'local' | 'remote'): string {
  const { address } = socket.local;
  const scope = address === '::1' || address.startsWith('127.') ? pod.netnsCookie : '';
  const text = ({ address: ip, port }: TcpEnd): string => `${ip} ${port}`;
  return `${scope} ${text(socket[from])} ${text(socket[to])}`;
}
