/** What one worker serves: the listeners of every pod, plain and HBONE, and the connections behind them. */
import type { Binding } from '../../kernel/binding.ts';
import { BatchedTransport } from '../../proxy/batched-transport.ts';
import { ConnectionTable } from '../../proxy/connection-table.ts';
import { NetTransport } from '../../proxy/net-transport.ts';
import { TcpProxy, type ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { TlsPeer, Transport } from '../../proxy/transport.ts';
import { CertificateView } from './certificate-view.ts';
import { InboundTunnels } from './inbound-tunnels.ts';
import { PodKernelPort } from './kernel-port.ts';
import type { MainThread } from './main-thread.ts';
import type { TunnelPod, WorkerSetup, WorkerStats } from './messages.ts';
import { Outbound } from './outbound.ts';
import { PolicyGuard } from './policy-guard.ts';
import { PolicyView, type PolicyChanges } from './policy-view.ts';
import { TunnelPods } from './tunnel-pods.ts';

/**
 * Between the slot's removal and the listener's close: a connect that saw the slot a moment before sends its SYN, a handshake
 * over the wire completes, and the accept queue is emptied. A listener that closes first would reset them.
 */
const ACCEPT_GRACE_MS = 200;
const DRAIN_POLL_MS = 20;
/** What a busy worker admitted by the policy before is ended by itself a little later than the main thread ends the others. */
const ENFORCE_AFTER_MS = 40;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The addon's needs the OpenSSL that this node exports. */
function openTransport(binding: Binding, kind: WorkerSetup['transport']): Transport {
  if (kind === 'batched' && binding.tlsLibrary() !== undefined) {
    return new BatchedTransport({ port: binding });
  }
  return new NetTransport({ closeOrderly: (fd) => binding.setResetOnClose(fd, false) });
}

interface Plain {
  readonly info: ListenerInfo;
  retire(): void;
}

export class DataPlane {
  readonly certificates: CertificateView;
  readonly #transport: Transport;
  readonly #kernel: PodKernelPort;
  readonly #main: MainThread;
  readonly #table = new ConnectionTable();
  readonly #policies = new PolicyView();
  readonly #pods = new TunnelPods();
  readonly #outbound: Outbound;
  readonly #proxy: TcpProxy;
  /** those whose slots are filled */
  #listeners: (Plain | InboundTunnels)[] = [];
  /** of pods that are here, or whose tunnels still are */
  readonly #inbound = new Set<InboundTunnels>();

  constructor(options: { binding: Binding; setup: WorkerSetup; main: MainThread }) {
    const { binding, setup, main } = options;
    this.#main = main;
    this.#transport = openTransport(binding, setup.transport);
    this.#kernel = new PodKernelPort({
      binding,
      records: binding.mapFromFd(setup.records),
      agentSocks: binding.mapFromFd(setup.agentSocks),
    });
    this.certificates = new CertificateView((spiffe) => main.want(spiffe));
    this.#outbound = new Outbound({
      transport: this.#transport,
      kernel: this.#kernel,
      main,
      pods: this.#pods,
      certificates: this.certificates,
    });
    this.#proxy = new TcpProxy({
      kernel: this.#kernel,
      connect: (listener, origin, early) => this.#outbound.connect(listener, origin, early),
      table: this.#table,
      guard: new PolicyGuard({
        policies: this.#policies,
        tell: (denial) => main.denied(denial),
      }),
    });
    this.certificates.onRevocations(() => this.#cutRevoked());
  }

  listen(info: ListenerInfo, fd: number): void {
    this.#listeners.push(info.role === 'hbone' ? this.#tunnels(info, fd) : this.#plain(info, fd));
  }

  /** Their slots are empty already. */
  async retire(which: (info: ListenerInfo) => boolean): Promise<void> {
    const retired = this.#listeners.filter(({ info }) => which(info));
    this.#listeners = this.#listeners.filter(({ info }) => !which(info));
    await sleep(ACCEPT_GRACE_MS);
    for (const listener of retired) listener.retire();
    for (const tunnels of this.#inbound) {
      if (tunnels.connections === 0) this.#inbound.delete(tunnels);
    }
  }

  /** Live connections are ended by the main thread first, which also says why. */
  setPolicies(changes: PolicyChanges): void {
    this.#policies.update(changes);
    setTimeout(() => {
      this.#proxy.enforce();
      for (const tunnels of this.#inbound) tunnels.enforce();
    }, ENFORCE_AFTER_MS);
  }

  /** Of a pod that is gone nothing goes on: its peers would wait for answers that cannot come. */
  replacePods(pods: readonly TunnelPod[]): void {
    this.#pods.replace(pods);
    for (const tunnels of this.#inbound) {
      if (this.#pods.get(tunnels.info.podId)) {
        tunnels.begin();
        continue;
      }
      tunnels.close();
      this.#inbound.delete(tunnels);
    }
    this.#outbound.podsChanged();
  }

  stats(): WorkerStats {
    const { opened, failed, refused, denied, size: live } = this.#table;
    const inbound = [...this.#inbound];
    return {
      live,
      opened,
      failed,
      refused,
      denied,
      tunnels: {
        outbound: this.#outbound.tunnels,
        inbound: inbound.reduce((sum, { tunnels }) => sum + tunnels, 0),
        connections:
          this.#outbound.connections +
          inbound.reduce((sum, { connections }) => sum + connections, 0),
      },
    };
  }

  /** Resolves to how many connections were cut at the deadline. */
  async drain(deadlineMs: number): Promise<number> {
    const end = Date.now() + deadlineMs;
    await this.retire(() => true);
    const live = (): number => {
      const { live: proxied, tunnels } = this.stats();
      return proxied + tunnels.inbound;
    };
    while (live() > 0 && Date.now() < end) await sleep(DRAIN_POLL_MS);
    const cut = live();
    this.#table.closeWhere(() => true);
    for (const tunnels of this.#inbound) tunnels.close();
    this.#outbound.close();
    return cut;
  }

  #plain(info: ListenerInfo, fd: number): Plain {
    const server = this.#transport.listen(fd, (accepted) => this.#proxy.accept(info, accepted));
    return { info, retire: () => server.close() };
  }

  #tunnels(listener: ListenerInfo, fd: number): InboundTunnels {
    const tunnels = new InboundTunnels({
      listener,
      fd,
      transport: this.#transport,
      kernel: this.#kernel,
      main: this.#main,
      pods: this.#pods,
      policies: this.#policies,
      certificates: this.certificates,
    });
    this.#inbound.add(tunnels);
    return tunnels;
  }

  #cutRevoked(): void {
    const revoked = ({ serial, issuerHash }: TlsPeer): boolean =>
      issuerHash !== undefined && this.certificates.revoked(serial, issuerHash);
    this.#outbound.closeConnectionsWhere(({ peer }) => revoked(peer));
    for (const tunnels of this.#inbound) {
      tunnels.closeConnectionsWhere(({ link }) => revoked(link.peer));
    }
  }
}
