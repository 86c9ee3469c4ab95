/**
 * What the admin API shows: plain JSON, one shape per path under /v1.  The composition root fills it; the verbs of the
 * command line read it.  Fields are only ever added.
 */
import type { Finding } from '../model/finding.ts';
import type { ResourceKind, ResourcesView } from './resource-view.ts';
import type { CertificateStatus } from '../identity/certificate-status.ts';
import type { CrlStatus } from '../identity/crl-file.ts';
import type { NodeCredentialStatus } from '../identity/node-credential-status.ts';
import type { XdsStatus } from '../xds/client/status.ts';
import type { LeftOut } from '../xds/istiod/left-out-view.ts';

export interface XdsView extends XdsStatus {
  /** what a foreign control plane does not say, or not as it is written; null: nothing */
  readonly leftOut: LeftOut | null;
  /** null: all addresses are asked for */
  readonly onDemand: OnDemandStatus | null;
}

/** Addresses that pods of this node have dialled of late and the kernel knew nobody at. */
export interface OnDemandStatus {
  readonly asking: number;
  readonly found: number;
  readonly nobody: number;
  /** connections to addresses that were not asked for, because there are too many */
  readonly refused: number;
}

export interface StatusView {
  readonly version: string;
  readonly pid: number;
  /** ISO 8601 */
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly ready: boolean;
  /** what the agent waits for before it is ready */
  readonly blockers: readonly string[];
  readonly config: {
    readonly dir: string;
    readonly cgroup: string;
    readonly bpffs: string;
    readonly stateDir: string;
  };
  /** "HOST:PORT", null when it is off */
  readonly metrics: string | null;
  readonly kernel: {
    readonly generation: number;
    /** hash of the shared layout */
    readonly abi: string;
    /** the pins of an earlier agent were taken over */
    readonly adopted: boolean;
    /** generations that still have sockets */
    readonly older: readonly number[];
    /** raised with every policy change */
    readonly epoch: number;
    /** changes the kernel refused, tried again every second */
    readonly pending: number;
  };
  readonly splice: {
    readonly enabled: boolean;
    /** "" unless it is off or limited */
    readonly reason: string;
  };
  readonly mesh: {
    readonly snapshot: number;
    readonly workloads: number;
    readonly services: number;
    readonly policies: number;
  };
  readonly pods: { readonly captured: number; readonly failed: number };
  readonly connections: { readonly live: number; readonly spliced: number };
  readonly findings: { readonly errors: number; readonly warnings: number };
  /** null: the mesh comes from the config folder */
  readonly xds: XdsView | null;
  /** of a machine that joined, or is to join, by a token */
  readonly node: NodeCredentialStatus | null;
  readonly certificates: {
    /** where they come from, "" when there is no source, or before it is open */
    readonly source: string;
    /** why there is none, "" */
    readonly reason: string;
    readonly identities: number;
    /** of them: with a certificate that has not ended */
    readonly valid: number;
    /** null: nothing is revoked */
    readonly crl: CrlStatus | null;
  };
}

export interface PodView {
  readonly namespace: string;
  readonly name: string;
  readonly state: 'captured' | 'pending' | 'failed';
  /** why it is not captured, '' */
  readonly reason: string;
  /** ISO 8601: since when it is in this state */
  readonly since: string;
  readonly netns: string;
  /** number in the kernel's maps, 0 unless captured */
  readonly id: number;
  /** SPIFFE id */
  readonly identity: string;
  readonly addresses: readonly string[];
  readonly capture: 'kernel' | 'proxy';
  /** default, always, never, observe; with ports: "never,8080=always" */
  readonly splice: string;
}

export interface ConnectionEndView {
  /** "ADDRESS:PORT" */
  readonly address: string;
  /** '' when not of the mesh */
  readonly namespace: string;
  readonly workload: string;
  readonly identity: string;
}

export interface ConnectionView {
  /** socket cookie of the client's end, or of the server's where the client is not ours */
  readonly id: string;
  readonly source: ConnectionEndView;
  readonly destination: ConnectionEndView;
  /** hostname of the Service that was dialled, '' */
  readonly service: string;
  readonly path: 'plain' | 'spliced' | 'proxied' | 'hbone';
  /** why it is not spliced, '' */
  readonly reason: string;
  /** older-than-agent: how long its pod has been captured, so at least this */
  readonly ageMs: number;
  /** client → server */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** of both: those that skipped TCP */
  readonly bytesSpliced: number;
  /** smoothed, as TCP measured it; null before the first sample */
  readonly rttUs: number | null;
}

export interface EndpointView {
  readonly address: string;
  readonly port: number;
  /** "namespace/name" */
  readonly workload: string;
  readonly node: string;
  /** "region/zone/subzone" as far as known */
  readonly locality: string;
  readonly ready: boolean;
  /** connections from this node go there: it is ready, has weight, and none is nearer where that matters */
  readonly used: boolean;
  readonly weight: number;
  /** connections the kernel has given it that are still open */
  readonly active: number;
  /** as least-latency knows it; null: not measured */
  readonly latencyUs: number | null;
}

export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly policy: 'round-robin' | 'random' | 'least-conn' | 'least-latency';
  /** 0: none */
  readonly sessionAffinitySeconds: number;
  readonly locality: {
    readonly mode: 'UNSPECIFIED' | 'STRICT' | 'FAILOVER' | 'PASSTHROUGH';
    readonly preference: readonly string[];
  };
  /** from this node, per port; 0: any number */
  readonly maxConnections: number;
  readonly ports: readonly {
    readonly port: number;
    /** connections counted against maxConnections now */
    readonly limited: number;
    readonly endpoints: readonly EndpointView[];
  }[];
}

export interface PolicyView {
  readonly namespace: string;
  readonly name: string;
  readonly scope: 'GLOBAL' | 'NAMESPACE' | 'WORKLOAD_SELECTOR';
  readonly action: 'ALLOW' | 'DENY';
  readonly rules: number;
  readonly dryRun: boolean;
  /** enrolled pods of this node it is in force for, "namespace/name" */
  readonly pods: readonly string[];
  /** where it is decided: before accept, or by the proxy for each request; dry-run policies are not enforced */
  readonly form: 'kernel' | 'user-space' | 'none';
  /** one line per rule */
  readonly text: readonly string[];
}

export interface TrustView {
  /** path of the executable and, for an interpreter's program, the arguments that tell it from others (up to 128 bytes) */
  readonly name: string;
  /** workload template and images it was met in */
  readonly workload: string;
  readonly state: 'observing' | 'trusted' | 'denied' | 'interpreter';
  /** why it is denied, '' */
  readonly reason: string;
  /** plain connections seen while observing, and those that passed quietly */
  readonly connections: number;
  readonly quiet: number;
  /** ISO 8601: met for the first time */
  readonly since: string;
}

export interface DoctorView {
  readonly feature: string;
  /** 'missing' when podwire cannot run without it */
  readonly decision: string;
  readonly reason: string;
  readonly evidence: string;
}

/** by name of enum counter, and `denied.REASON` and `not-spliced.REASON` by name of enum reason */
export type CountersView = Readonly<Record<string, number>>;

export interface AdminView {
  status(): StatusView | Promise<StatusView>;
  pods(): readonly PodView[] | Promise<readonly PodView[]>;
  connections(): readonly ConnectionView[] | Promise<readonly ConnectionView[]>;
  services(): readonly ServiceView[] | Promise<readonly ServiceView[]>;
  policies(): readonly PolicyView[] | Promise<readonly PolicyView[]>;
  /** `kind`: of one type only */
  resources(kind?: ResourceKind): ResourcesView | Promise<ResourcesView>;
  counters(): CountersView | Promise<CountersView>;
  trust(): readonly TrustView[] | Promise<readonly TrustView[]>;
  certificates(): readonly CertificateStatus[] | Promise<readonly CertificateStatus[]>;
  doctor(): readonly DoctorView[] | Promise<readonly DoctorView[]>;
  findings(): readonly Finding[] | Promise<readonly Finding[]>;
  /** with ztunnel's keys: see config-dump.ts */
  configDump(): Readonly<Record<string, unknown>>;
}

/** What may be changed, over the unix socket only. */
export interface AdminActions {
  /** returns at once; the agent drains and ends */
  shutdown(): void;
  /** false when there is no such level */
  setLogLevel(level: string): boolean;
}
