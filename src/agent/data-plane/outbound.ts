/** The second leg of a captured connection: straight to its target, or a tunnel to another node. */
import type { HboneRoute, IpPort } from '../../compile/tunnel-route.ts';
import { HboneClient, type TunnelRequest } from '../../hbone/client.ts';
import { formatForwarded, newTraceparent } from '../../hbone/headers.ts';
import type { PooledConnection } from '../../hbone/pool.ts';
import { TunnelFailed, TunnelRefused } from '../../hbone/tunnel.ts';
import { hostPort } from '../../model/host-port.ts';
import { parseIp, type Ip } from '../../model/ip.ts';
import type { EarlyLink } from '../../proxy/early-link.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import {
  TlsError,
  type Endpoint,
  type Link,
  type Origin,
  type Transport,
} from '../../proxy/transport.ts';
import type { CertificateView } from './certificate-view.ts';
import type { PodKernelPort } from './kernel-port.ts';
import type { MainThread } from './main-thread.ts';
import type { TunnelPod } from './messages.ts';
import type { TunnelPods } from './tunnel-pods.ts';

/** A pod's first connection may come before its certificate. */
const CREDENTIALS_MS = 5000;

export class Outbound {
  readonly #transport: Transport;
  readonly #kernel: PodKernelPort;
  readonly #main: MainThread;
  readonly #pods: TunnelPods;
  readonly #certificates: CertificateView;
  readonly #client: HboneClient;
  /** of pods with tunnels, by the pod's number as text */
  readonly #namespaces = new Map<string, ListenerInfo>();

  constructor(options: {
    transport: Transport;
    kernel: PodKernelPort;
    main: MainThread;
    pods: TunnelPods;
    certificates: CertificateView;
  }) {
    this.#transport = options.transport;
    this.#kernel = options.kernel;
    this.#main = options.main;
    this.#pods = options.pods;
    this.#certificates = options.certificates;
    this.#client = new HboneClient({
      transport: this.#transport,
      socket: ({ pod, destination }) => {
        const listener = this.#namespaces.get(pod);
        if (!listener) throw new Error('the pod is gone');
        return this.#kernel.tunnelSocket(listener, destination);
      },
      credentials: (identity) => this.#certificates.get(identity),
    });
  }

  get tunnels(): number {
    return this.#client.tunnels;
  }

  get connections(): number {
    return this.#client.connections;
  }

  async connect(listener: ListenerInfo, origin: Origin, early: EarlyLink): Promise<Link> {
    if (origin.tunnelled) {
      try {
        const link = await this.#tunnelled(listener, origin, early);
        if (link) return link;
      } catch (error) {
        const { podId } = listener;
        const peer = hostPort(origin.target.address, origin.target.port);
        this.#main.failed({ direction: 'outbound', podId, peer, reason: reasonOf(error) });
        throw error;
      }
    }
    return this.#transport.connect(this.#kernel.upstreamSocket(listener, origin), origin.target);
  }

  /** undefined: the mesh no longer asks for a tunnel */
  async #tunnelled(
    listener: ListenerInfo,
    origin: Origin,
    early: EarlyLink,
  ): Promise<Link | undefined> {
    const pod = this.#pods.get(listener.podId);
    if (!pod) throw new Error('the pod is gone');
    const route = await this.#route(listener.podId, origin);
    if (route.kind === 'none') throw new Error(route.reason);
    return route.kind === 'hbone' ? this.#tunnel(listener, pod, origin, route, early) : undefined;
  }

  /** What is pooled for pods that are gone, or under an identity that is a pod's no longer, ends with its tunnels. */
  podsChanged(): void {
    for (const pod of [...this.#namespaces.keys()]) {
      if (!this.#pods.get(Number(pod))) this.#namespaces.delete(pod);
    }
    this.#client.closeConnectionsWhere(
      ({ key }) => this.#pods.get(Number(key.pod))?.spiffe !== key.identity,
    );
  }

  closeConnectionsWhere(condition: (connection: PooledConnection) => boolean): number {
    return this.#client.closeConnectionsWhere(condition);
  }

  close(): void {
    this.#client.close();
  }

  #route(podId: number, { dialled, target }: Origin) {
    const question = {
      kind: 'route',
      podId,
      dialled: ipPort(dialled),
      target: ipPort(target),
    } as const;
    const key = `${podId}|${dialled.address}|${dialled.port}|${target.address}|${target.port}`;
    return this.#main.askOnce<'route'>(key, question, (route) =>
      route.kind === 'hbone' ? route.lasting : route.kind === 'direct',
    );
  }

  async #tunnel(
    listener: ListenerInfo,
    pod: TunnelPod,
    origin: Origin,
    route: HboneRoute,
    early: EarlyLink,
  ): Promise<Link> {
    await this.#certificates.whenHeld(pod.spiffe, CREDENTIALS_MS);
    const name = String(pod.podId);
    if (!this.#pods.get(pod.podId)) throw new Error('the pod is gone');
    this.#namespaces.set(name, listener);
    const own = ownAddress(pod, route.gateway.address);
    const request: TunnelRequest = {
      identity: pod.spiffe,
      acceptedIds: route.acceptedIds,
      destination: route.gateway,
      pod: name,
      address: own,
      authority: route.authority,
      baggage: pod.baggage,
      forwarded: formatForwarded({ address: own, port: origin.client.port }, route.hostname),
      traceparent: newTraceparent(),
    };
    const { link } = await this.#client.connect(request, early);
    return link;
  }
}

/** Few words, for they are a label of a metric: what is peculiar to one connection is left out. */
function reasonOf(error: unknown): string {
  if (error instanceof TlsError) return error.reason;
  if (error instanceof TunnelRefused) return `status-${error.status}`;
  if (error instanceof TunnelFailed) return 'no-answer';
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? (message.startsWith('the waypoint') ? 'waypoint' : 'failed');
}

/** Endpoints of the kernel are addresses always. */
function ipPort({ address, port }: Endpoint): IpPort {
  return { address: parseIp(address)!, port };
}

function ownAddress({ addresses }: TunnelPod, like: Ip): string {
  const six = like.includes(':');
  return addresses.find((address) => address.includes(':') === six) ?? addresses[0] ?? '';
}
