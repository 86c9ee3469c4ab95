/**
 * Workload + enrolment → the kernel's view of one captured pod.
 */
import type { EnrolledPod, SpliceMode } from '../../model/enrolment.ts';
import type { Ip } from '../../model/ip.ts';
import { workloadIdentity, type Workload, type WorkloadType } from '../../model/workload.ts';
import type { TunnelMode } from './tunnels.ts';

export interface PodEntry {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly netns: string;
  readonly netnsPath: string;
  readonly addrs: readonly Ip[];
  /** number of its SPIFFE id, and the id */
  readonly identity: number;
  readonly spiffe: string;
  /** number of (workload template, images): trust that was learnt belongs to it */
  readonly workload: number;
  readonly captureProxy: boolean;
  /** speaks HBONE, as client and at 15008 */
  readonly tunnel: boolean;
  /** and is reached in no other way by pods of this node that do */
  readonly tunnelOnly: boolean;
  readonly splice: SpliceMode;
  readonly portModes: ReadonlyMap<number, SpliceMode>;
  readonly probePorts: readonly number[];
  readonly serviceAccount: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadName: string;
  readonly workloadType: WorkloadType;
  readonly clusterId: string;
  /** where to point an error about its namespace */
  readonly origin: EnrolledPod['origin'];
}

export interface LocalEntry {
  readonly addr: Ip;
  readonly uid: string;
  readonly identity: number;
}

export interface PortModeEntry {
  readonly uid: string;
  readonly port: number;
  readonly mode: SpliceMode;
}

export function compilePod(
  enrolled: EnrolledPod,
  workload: Workload,
  mode: TunnelMode,
  identityNumber: (spiffe: string) => number,
): PodEntry {
  const tunnel = mode !== 'off' && workload.tunnelProtocol === 'HBONE' && !workload.nativeTunnel;
  const spiffe = workloadIdentity(workload);
  return {
    uid: workload.uid,
    namespace: workload.namespace,
    name: workload.name,
    netns: enrolled.netns,
    netnsPath: enrolled.netnsPath,
    addrs: workload.addresses,
    identity: identityNumber(spiffe),
    spiffe,
    workload: templateNumber(workload, enrolled.images),
    captureProxy: enrolled.captureProxy,
    tunnel,
    tunnelOnly: tunnel && (mode === 'everywhere' || enrolled.sameNodeTunnel === true),
    splice: enrolled.splice,
    portModes: enrolled.portModes,
    probePorts: enrolled.probePorts,
    serviceAccount: workload.serviceAccount || 'default',
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    workloadName: workload.workloadName,
    workloadType: workload.workloadType,
    clusterId: workload.clusterId,
    origin: enrolled.origin,
  };
}

/**
 * A hash and no numbered name: what was learnt about executables outlives the state folder, and must never be found under
 * another template's number.  0 is "none".
 */
function templateNumber(workload: Workload, images: readonly string[]): number {
  const template = [workload.namespace, workload.workloadType, workload.workloadName, ...images];
  return hash32(JSON.stringify(template)) || 1;
}

/** FNV-1a with murmur3's finish, so that names that differ in one letter differ everywhere. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
