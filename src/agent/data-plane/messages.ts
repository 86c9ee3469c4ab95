/** What the agent's main thread and its data-plane workers say to each other. */
import type { RevocationList } from '../../identity/revocation-list.ts';
import type { TlsCredentials } from '../../identity/tls-credentials.ts';
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';

export interface WorkerSetup {
  /** descriptors of the process: the worker duplicates them */
  readonly records: number;
  readonly agentSocks: number;
}

export type ToWorker =
  | { readonly kind: 'listen'; readonly listener: ListenerInfo; readonly fd: number }
  | { readonly kind: 'unlisten'; readonly podId: number }
  /** the newest of an identity with a pod here; undefined: there is none any more */
  | {
      readonly kind: 'credentials';
      readonly spiffe: string;
      readonly credentials: TlsCredentials | undefined;
    }
  | { readonly kind: 'revocations'; readonly list: RevocationList | undefined }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'drain'; readonly deadlineMs: number };

export interface WorkerStats {
  readonly live: number;
  readonly opened: number;
  readonly failed: number;
  readonly refused: number;
}

export type FromWorker =
  /** the descriptor belongs to the worker from now on */
  | { readonly kind: 'listening'; readonly fd: number }
  /** a connection waits for the certificate of this identity */
  | { readonly kind: 'want'; readonly spiffe: string }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: WorkerStats }
  | { readonly kind: 'drained'; readonly cut: number };
