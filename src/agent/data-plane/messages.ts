/** What the agent's main thread and its data-plane workers say to each other. */
import type { ListenerInfo, Verdict } from '../../proxy/tcp-proxy.ts';
import type { Endpoint } from '../../proxy/transport.ts';
import type { PolicyChanges } from './policy-view.ts';

export interface WorkerSetup {
  /** descriptors of the process: the worker duplicates them */
  readonly records: number;
  readonly agentSocks: number;
}

export type ToWorker =
  | { readonly kind: 'listen'; readonly listener: ListenerInfo; readonly fd: number }
  /** before the listeners of the pods they are about */
  | { readonly kind: 'policies'; readonly changes: PolicyChanges }
  | { readonly kind: 'unlisten'; readonly podId: number }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'drain'; readonly deadlineMs: number };

export interface WorkerStats {
  readonly live: number;
  readonly opened: number;
  readonly failed: number;
  readonly refused: number;
  readonly denied: number;
}

/** A connection that a worker refused because of policy. */
export interface ProxyDenial extends Verdict {
  readonly podId: number;
  /** the other end, and where it wanted to go */
  readonly peer: Endpoint;
  readonly target: Endpoint;
  readonly sourcePod: number;
  readonly sourceIdentity: number;
}

export type FromWorker =
  /** the descriptor belongs to the worker from now on */
  | { readonly kind: 'listening'; readonly fd: number }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: WorkerStats }
  | { readonly kind: 'denied'; readonly denial: ProxyDenial }
  | { readonly kind: 'drained'; readonly cut: number };
