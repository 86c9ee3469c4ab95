/** What the agent's main thread and its data-plane workers say to each other. */
import type { IpPort, TunnelRoute } from '../../compile/tunnel-route.ts';
import type { RevocationList } from '../../identity/revocation-list.ts';
import type { Ip } from '../../model/ip.ts';
import type { TlsCredentials } from '../../model/tls-credentials.ts';
import type { ListenerInfo, Verdict } from '../../proxy/tcp-proxy.ts';
import type { Endpoint } from '../../proxy/transport.ts';
import type { PolicyChanges } from './policy-view.ts';

export interface WorkerSetup {
  /** descriptors of the process: the worker duplicates them */
  readonly records: number;
  readonly agentSocks: number;
  readonly transport: 'batched' | 'net';
}

/** A pod of this node that speaks HBONE, as its worker needs it. */
export interface TunnelPod {
  readonly podId: number;
  readonly spiffe: string;
  readonly addresses: readonly Ip[];
  /** what its requests and answers say of it */
  readonly baggage: string;
  /** its own port by host and port of the Services it serves */
  readonly hosts: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

/** What a worker asks the main thread, which has the mesh. */
export type Question =
  | {
      readonly kind: 'route';
      readonly podId: number;
      readonly dialled: IpPort;
      readonly target: IpPort;
    }
  /** the number of a proven identity */
  | { readonly kind: 'identity'; readonly spiffe: string };

export interface Answers {
  readonly route: TunnelRoute;
  /** 0: there are too many */
  readonly identity: number;
}

export type Answer = Answers[keyof Answers];

/** A tunnel, or the TLS connection of tunnels, that did not come about. */
export interface TunnelFailure {
  readonly direction: 'inbound' | 'outbound';
  readonly podId: number;
  /** identity, where it was proven; address, where it was dialled */
  readonly peer: string | undefined;
  /** a word of TLS_REFUSALS or REFUSALS, or a message */
  readonly reason: string;
}

export type ToWorker =
  | { readonly kind: 'listen'; readonly listener: ListenerInfo; readonly fd: number }
  /** before the listeners of the pods they are about */
  | { readonly kind: 'policies'; readonly changes: PolicyChanges }
  | {
      readonly kind: 'unlisten';
      readonly podId: number;
      readonly roles: readonly ListenerInfo['role'][];
    }
  /** the newest of an identity with a pod here; undefined: there is none any more */
  | {
      readonly kind: 'credentials';
      readonly spiffe: string;
      readonly credentials: TlsCredentials | undefined;
    }
  | { readonly kind: 'revocations'; readonly list: RevocationList | undefined }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  /** all of them */
  | { readonly kind: 'tunnel-pods'; readonly pods: readonly TunnelPod[] }
  /** answers that were lasting are so no longer */
  | { readonly kind: 'mesh-changed' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer };

export interface WorkerStats {
  readonly live: number;
  readonly opened: number;
  readonly failed: number;
  readonly refused: number;
  readonly denied: number;
  readonly tunnels: {
    readonly outbound: number;
    readonly inbound: number;
    /** mTLS connections that carry them */
    readonly connections: number;
  };
}

/** A connection that a worker refused because of policy. */
export interface ProxyDenial extends Verdict {
  readonly podId: number;
  /** the other end, and where it wanted to go */
  readonly peer: Endpoint;
  readonly target: Endpoint;
  readonly sourcePod: number;
  readonly sourceIdentity: number;
  /** the identity was proven by certificate */
  readonly tunnelled: boolean;
}

export type FromWorker =
  /** the descriptor belongs to the worker from now on */
  | { readonly kind: 'listening'; readonly fd: number }
  /** a connection waits for the certificate of this identity */
  | { readonly kind: 'want'; readonly spiffe: string }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: WorkerStats }
  | { readonly kind: 'drained'; readonly cut: number }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  | { readonly kind: 'denied'; readonly denial: ProxyDenial }
  | { readonly kind: 'failed'; readonly failure: TunnelFailure };
