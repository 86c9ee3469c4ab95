/**
 * A registry of resources: a folder, a Kubernetes cluster, a DNS zone.  Control knows nothing else about where resources
 * come from.
 *
 * An origin is the smallest thing that is replaced whole: a file of a folder, one object of a cluster
 * (`<cluster>/<Kind>/<namespace>/<name>`).  Its resources are validated and typed already; what was wrong with them stands
 * in its findings.
 */
import type { Finding } from '../../model/finding.ts';
import type { Resource } from '../../model/resource.ts';

export interface OriginContent {
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
}

/** undefined: the origin is gone */
export type OriginChanges = ReadonlyMap<string, OriginContent | undefined>;

export interface SourceSink {
  /** The first call carries the whole state, later ones what differs. */
  apply(changes: OriginChanges): void;
  /** The source cannot be read for now: its last state stays in force. undefined: it can be read again. */
  unavailable(finding: Finding | undefined): void;
}

export interface Source {
  /** unique among the sources of one control, e.g. `folder`, `kubernetes/west`, `dns` */
  readonly name: string;
  /**
   * Resolves when the first whole state was delivered, and also when the source is away and says so by
   * `unavailable`: one cluster that is down keeps no other from being served.  Throws PodwireError for what the operator
   * must mend first (a folder that is not root's, a kubeconfig that does not parse).
   */
  start(sink: SourceSink): Promise<void>;
  /**
   * Reads these Secrets ("namespace/name") from now on, and no others that it was told of before.  Resolves when each was
   * delivered, is missing or cannot be read.  Absent: a source that tells of all Secrets it has, or has none.
   */
  followSecrets?(names: ReadonlySet<string>): Promise<void>;
  /** Nothing is delivered after this resolves; may be called twice. */
  close(): Promise<void>;
}
