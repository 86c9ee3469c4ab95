/**
 * networking.istio.io ServiceEntry, WorkloadEntry and WorkloadGroup.
 */
import type { Labels, PortSpec, SpecResource, WorkloadSelector } from './spec.ts';

export type ServiceEntryResource = SpecResource<'ServiceEntry', ServiceEntrySpec>;
export type WorkloadEntryResource = SpecResource<'WorkloadEntry', WorkloadEntrySpec>;
export type WorkloadGroupResource = SpecResource<'WorkloadGroup', WorkloadGroupSpec>;

export interface ServiceEntrySpec {
  readonly hosts: readonly string[];
  /** addresses or CIDR blocks */
  readonly addresses?: readonly string[];
  readonly ports?: readonly (PortSpec & { readonly number: number; readonly name: string })[];
  readonly location?: 'MESH_EXTERNAL' | 'MESH_INTERNAL';
  /** absent: NONE */
  readonly resolution?: 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN';
  readonly endpoints?: readonly WorkloadEntrySpec[];
  readonly workloadSelector?: WorkloadSelector;
  readonly exportTo?: readonly string[];
  readonly subjectAltNames?: readonly string[];
}

export interface WorkloadEntrySpec {
  /** an IP address, or a DNS name where the ServiceEntry resolves by DNS */
  readonly address?: string;
  readonly ports?: Readonly<Record<string, number>>;
  readonly labels?: Labels;
  readonly network?: string;
  /** "region/zone/subzone" */
  readonly locality?: string;
  readonly weight?: number;
  readonly serviceAccount?: string;
}

export interface WorkloadGroupSpec {
  readonly metadata?: {
    readonly labels?: Labels;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly template: WorkloadEntrySpec;
  /** health checks of a VM's own agent; not carried out here */
  readonly probe?: Readonly<Record<string, unknown>>;
}
