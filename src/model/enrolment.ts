/**
 * A pod of this node that the agent captures: what the mesh's messages do not say about it.
 *
 * It comes from an enrolment source (the config folder, later the node's Kubernetes watch), never from xDS.
 */
import type { NetworkPolicy } from './network-policy.ts';

export type SpliceMode = 'default' | 'always' | 'never' | 'observe';

export interface EnrolledPod {
  /** uid of its Workload */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** name of the network namespace, and where it is */
  readonly netns: string;
  readonly netnsPath: string;
  /** podwire.io/capture: proxy */
  readonly captureProxy: boolean;
  /** podwire.io/same-node: hbone; absent: pods of this node reach it in the kernel */
  readonly sameNodeTunnel?: boolean;
  readonly splice: SpliceMode;
  /** podwire.io/splice per port */
  readonly portModes: ReadonlyMap<number, SpliceMode>;
  /** ports the kubelet's probes and life-cycle calls go to; sorted */
  readonly probePorts: readonly number[];
  /** what selectors of NetworkPolicies look at, and the ports they name */
  readonly labels: ReadonlyMap<string, string>;
  readonly namespaceLabels: ReadonlyMap<string, string>;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** sorted */
  readonly images: readonly string[];
  /** where to point an error about the pod's namespace */
  readonly origin: { readonly file: string; readonly resource: string; readonly path: string };
}

/** What an enrolment source knows of this node. */
export interface NodeEnrolment {
  /** all of them, not a delta; the same list while nothing changed */
  readonly pods: readonly EnrolledPod[];
  /** of the namespaces of these pods; likewise */
  readonly networkPolicies: readonly NetworkPolicy[];
}
