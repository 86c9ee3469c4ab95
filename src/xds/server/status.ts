/**
 * The server's streams as /v1/nodes, /debug/syncz and the metrics show them: plain JSON.
 */
import type { AnyResource } from './entry.ts';

export type SyncState = 'synced' | 'stale' | 'nacked' | 'not-sent';

export interface StreamStatus {
  readonly id: string;
  /** what the credential proves */
  readonly node: string;
  readonly cluster: string;
  readonly identity: string;
  /** what the client calls itself */
  readonly nodeId: string;
  readonly peer: string;
  readonly protocol: 'delta' | 'sotw';
  /** ISO 8601 */
  readonly connectedSince: string;
  readonly types: readonly TypeStatus[];
}

export interface TypeStatus {
  readonly type: string;
  readonly typeUrl: string;
  /** not-sent: it has not asked for any */
  readonly state: SyncState;
  readonly mode: 'wildcard' | 'named' | '';
  readonly names: number;
  /** that the client has */
  readonly resources: number;
  /** "" before the first */
  readonly sentVersion: string;
  readonly ackedVersion: string;
  readonly sentNonce: string;
  readonly ackedNonce: string;
  readonly pushes: number;
  readonly nacks: number;
  /** of the last answer, when it was a refusal */
  readonly nacked: {
    readonly version: string;
    readonly reason: string;
    readonly at: string;
  } | null;
}

export interface ServerNumbers {
  readonly streams: { readonly delta: number; readonly sotw: number };
  readonly converged: number;
  /** by reason */
  readonly refused: ReadonlyMap<string, number>;
  /** by reason */
  readonly ended: ReadonlyMap<string, number>;
  readonly pushBytes: number;
  readonly pushesWaiting: number;
  readonly flushes: { readonly together: number; readonly atOnce: number };
  readonly encodeFailures: number;
  readonly changes: number;
}

export interface Preview {
  readonly name: string;
  readonly version: string;
  readonly resource: AnyResource;
}
