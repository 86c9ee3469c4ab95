/**
 * PeerAuthentications → which connections a workload takes, by port.
 *
 * The nearest that says something wins: the port of the selecting one, the selecting one, the namespace's, the mesh's.
 */
import type { MtlsMode, PeerAuthenticationResource } from '../../model/resource/security.ts';

export type EffectiveMtls = Exclude<MtlsMode, 'UNSET'>;

/** Of each kind the one in force: the oldest. */
export interface AppliedPeers {
  /** selects the workload */
  readonly workload: PeerAuthenticationResource | undefined;
  readonly namespace: PeerAuthenticationResource | undefined;
  readonly mesh: PeerAuthenticationResource | undefined;
}

export interface PeerMtls {
  readonly mode: EffectiveMtls;
  /** ports of the workload that say something else */
  readonly ports: ReadonlyMap<number, EffectiveMtls>;
}

export function peerMtls({ workload, namespace, mesh }: AppliedPeers): PeerMtls {
  const modes = [workload, namespace, mesh].map((peer) => peer?.spec.mtls?.mode ?? 'UNSET');
  const mode = modes.find((found): found is EffectiveMtls => found !== 'UNSET') ?? 'PERMISSIVE';
  const ports = Object.entries(workload?.spec.portLevelMtls ?? {})
    .map(([port, { mode: found = 'UNSET' }]) => [Number(port), found] as const)
    .filter((entry): entry is [number, EffectiveMtls] => !['UNSET', mode].includes(entry[1]))
    .sort(([a], [b]) => a - b);
  return { mode, ports: new Map(ports) };
}

/** What one that selects pods inherits. */
export function wideMode(peers: Pick<AppliedPeers, 'namespace' | 'mesh'>): EffectiveMtls {
  return peerMtls({ ...peers, workload: undefined }).mode;
}
