/** What the agent's main thread and its data-plane workers say to each other. */
import type { ListenerInfo } from '../../proxy/tcp-proxy.ts';

export interface WorkerSetup {
  /** descriptors of the process: the worker duplicates them */
  readonly records: number;
  readonly agentSocks: number;
}

export type ToWorker =
  | { readonly kind: 'listen'; readonly listener: ListenerInfo; readonly fd: number }
  | {
      readonly kind: 'unlisten';
      readonly podId: number;
      readonly roles: readonly ListenerInfo['role'][];
    }
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
  | { readonly kind: 'stats'; readonly id: number; readonly stats: WorkerStats }
  | { readonly kind: 'drained'; readonly cut: number };
