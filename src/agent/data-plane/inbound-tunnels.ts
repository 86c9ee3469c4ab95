/** The listener of one pod at 15008: proven peers, their requests under the pod's policy, and the application behind. */
import type { Decision } from '../../compile/kernel/policy/evaluate.ts';
import { HboneServer, type InboundRequest } from '../../hbone/server.ts';
import { parseSpiffe } from '../../model/identity.ts';
import { parseIp } from '../../model/ip.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { AcceptedSecureLink, Transport } from '../../proxy/transport.ts';
import type { CertificateView } from './certificate-view.ts';
import type { PodKernelPort } from './kernel-port.ts';
import type { MainThread } from './main-thread.ts';
import type { PolicyView } from './policy-view.ts';
import type { TunnelPods } from './tunnel-pods.ts';

const HANDSHAKE_MS = 10_000;
/** a certificate that does not come is asked for again: the first time nobody may have been there to hear it */
const CREDENTIALS_MS = 1_000;

export interface InboundTunnelsOptions {
  readonly listener: ListenerInfo;
  readonly fd: number;
  readonly transport: Transport;
  readonly kernel: PodKernelPort;
  readonly main: MainThread;
  readonly pods: TunnelPods;
  readonly policies: PolicyView;
  readonly certificates: CertificateView;
}

export class InboundTunnels {
  readonly #options: InboundTunnelsOptions;
  readonly #server: HboneServer;
  /** undefined: nothing is accepted yet */
  #accepting: { close(): void } | undefined;
  #waiting = false;
  #retired = false;
  /** numbers of peers' identities */
  readonly #numbers = new Map<string, number>();

  constructor(options: InboundTunnelsOptions) {
    this.#options = options;
    const { listener, transport, kernel, main, pods } = options;
    const { podId } = listener;
    this.#server = new HboneServer({
      transport,
      events: {
        allows: (request) => this.#decide(request).allowed,
        socket: (request) => this.#socket(kernel, request),
        resolve: (host, port, { address }) => {
          const target = pods.get(podId)?.hosts.get(host)?.get(port);
          return target === undefined ? undefined : { address, port: target };
        },
        baggage: () => pods.get(podId)?.baggage,
        refused: (reason, request) => {
          if (reason === 'policy') this.#denied(request as InboundRequest);
          else main.failed({ direction: 'inbound', podId, peer: request.peer?.spiffe, reason });
        },
      },
    });
    this.begin();
  }

  /** Accepts as soon as the pod and its certificate are known: until then connections wait in the listener's queue. */
  begin(): void {
    const { listener, pods, certificates } = this.#options;
    const pod = pods.get(listener.podId);
    if (this.#accepting || this.#waiting || this.#retired || !pod) return;
    this.#waiting = true;
    void certificates.whenHeld(pod.spiffe, CREDENTIALS_MS).then((held) => {
      this.#waiting = false;
      if (!held) this.begin();
      else if (!this.#retired) this.#accepting = this.#listen();
    });
  }

  #listen(): { close(): void } {
    const { listener, fd, transport, main, pods, certificates } = this.#options;
    const { podId } = listener;
    return transport.listenTls(
      fd,
      {
        credentials: () => {
          const pod = pods.get(podId);
          return pod && certificates.get(pod.spiffe);
        },
        trustDomains: this.#trustDomains(),
        handshakeTimeoutMs: HANDSHAKE_MS,
      },
      (accepted) => void this.#accept(accepted),
      (reason) => main.failed({ direction: 'inbound', podId, peer: undefined, reason }),
    );
  }

  get info(): ListenerInfo {
    return this.#options.listener;
  }

  get tunnels(): number {
    return this.#server.tunnels;
  }

  get connections(): number {
    return this.#server.connections;
  }

  /** Ends the tunnels that policy no longer allows. */
  enforce(): void {
    this.#server.closeWhere(({ request }) => !this.#decide(request).allowed);
  }

  /** No new connections; the peers are asked to leave. */
  retire(): void {
    this.#retired = true;
    /* What waits for a certificate is refused with the listener's end. */
    this.#accepting ??= this.#listen();
    this.#accepting.close();
    this.#server.shutdown();
  }

  closeConnectionsWhere(condition: (accepted: AcceptedSecureLink) => boolean): number {
    return this.#server.closeConnectionsWhere(condition);
  }

  close(): void {
    this.#server.close();
  }

  #trustDomains(): readonly string[] {
    const { listener, pods } = this.#options;
    const own = parseSpiffe(pods.get(listener.podId)?.spiffe ?? '');
    return own ? [own.trustDomain] : [];
  }

  /** Its requests wait until the identity has its number: then they are decided without waiting. */
  async #accept(accepted: AcceptedSecureLink): Promise<void> {
    const { spiffe } = accepted.link.peer;
    if (!this.#numbers.has(spiffe)) {
      const number = await this.#options.main.ask({ kind: 'identity', spiffe });
      if (number === 0) return accepted.link.close(true);
      this.#numbers.set(spiffe, number);
    }
    this.#server.accept(accepted);
  }

  #decide({ peer, remote, target }: InboundRequest): Decision {
    const { listener, policies } = this.#options;
    return policies.allows(listener.podUid, {
      sourceIdentity: peer.spiffe,
      sourceAddr: parseIp(remote.address)!,
      destAddr: parseIp(target.address)!,
      destPort: target.port,
    });
  }

  #socket(kernel: PodKernelPort, { peer, remote, target }: InboundRequest): number {
    return kernel.upstreamSocket(this.#options.listener, {
      target,
      dialled: target,
      client: remote,
      sourceIdentity: this.#numbers.get(peer.spiffe)!,
      sourcePod: 0,
      tunnelled: true,
    });
  }

  #denied(request: InboundRequest): void {
    const { listener, main } = this.#options;
    const { peer, remote, target } = request;
    main.denied({
      ...this.#decide(request),
      podId: listener.podId,
      peer: remote,
      target,
      sourcePod: 0,
      sourceIdentity: this.#numbers.get(peer.spiffe)!,
      tunnelled: true,
    });
  }
}
