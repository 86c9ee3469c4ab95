/**
 * One connection as telemetry sees it: what the kernel reported (addresses, bytes, path, reason), joined with what the
 * mesh knows of both ends.  The composition root fills it from struct flow_event and struct conn_view.
 */
import type { Service } from '../model/service.ts';
import type { Workload } from '../model/workload.ts';

export type FlowPathName = 'plain' | 'spliced' | 'proxied' | 'hbone';

/** Which end of the connection reports it: an end that is an enrolled pod of this node. */
export type Reporter = 'source' | 'destination';

export interface FlowEnd {
  readonly address: string;
  /** undefined: not of the mesh */
  readonly workload: Workload | undefined;
  /** SPIFFE id that the kernel attested, '' when there is none */
  readonly identity: string;
}

export interface FlowParty extends FlowEnd {
  readonly port: number;
}

/** What does not change while the connection lives, and is the same for many of them. */
export interface FlowInfo {
  readonly source: FlowEnd;
  readonly destination: FlowParty;
  /** what the client dialled, when it was a Service: its address and port */
  readonly dialled: { readonly address: string; readonly port: number } | undefined;
  readonly service: Service | undefined;
  readonly reporters: readonly Reporter[];
  /** the bytes between the pods are encrypted and both ends proved who they are */
  readonly mutualTls: boolean;
}

/** Of one connection. */
export interface FlowNumbers {
  /** socket cookie of the client's end, or of the server's where the client is not ours; unique for the node's boot */
  readonly id: number;
  readonly sourcePort: number;
  /** client → server */
  readonly bytesSent: number;
  /** server → client */
  readonly bytesReceived: number;
}

/** A connection that is open now. */
export interface LiveFlow extends FlowInfo, FlowNumbers {}

/** A connection that has ended. */
export interface ClosedNumbers extends FlowNumbers {
  /** of the bytes, both ways: those that skipped TCP */
  readonly redirectedBytes: number;
  readonly durationMs: number;
}

/** Which rule of which policy decided. */
export interface RuleName {
  /** "namespace/name"; '' when it was the default */
  readonly policy: string;
  /** its place among the policy's rules, from 0; 'no ALLOW matched' when it was that; '' where policy did not decide */
  readonly rule: string;
}

export interface DryRunVerdict extends RuleName {
  readonly allowed: boolean;
}

/**
 * Connections that ended, or were refused, with the same story: all that telemetry says of them but their numbers.  It is
 * made once and kept, so that one more connection costs a few additions and one line of text.
 */
export interface FlowKind extends FlowInfo, RuleName {
  readonly path: FlowPathName;
  /** name of enum reason: why not spliced, cut or refused; 'none' */
  readonly reason: string;
  /** what would have been, were the dry-run policies in force; undefined: the destination has none */
  readonly dryRun: DryRunVerdict | undefined;
}
