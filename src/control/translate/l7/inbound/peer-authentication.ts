/**
 * PeerAuthentication → which connections a workload takes, by port: kept as data, enforced by who sees connections.
 *
 * The nearest that says something wins: the port of the selecting one, the selecting one, the namespace's, the mesh's.
 */
import type { MtlsMode, PeerAuthenticationResource } from '../../../../model/resource/security.ts';

export type EffectiveMtls = Exclude<MtlsMode, 'UNSET'>;

export interface PeerMtls {
  readonly mode: EffectiveMtls;
  /** ports of the workload that differ */
  readonly ports: ReadonlyMap<number, EffectiveMtls>;
}

/** Of the ones that apply, nearest first: selecting, of the namespace, of the mesh. */
export function peerMtls(nearest: readonly PeerAuthenticationResource[]): PeerMtls {
  const modes = nearest.map(({ spec }) => spec.mtls?.mode ?? 'UNSET');
  const mode = modes.find((found): found is EffectiveMtls => found !== 'UNSET') ?? 'PERMISSIVE';
  const ports = new Map<number, EffectiveMtls>();
  for (const { spec } of nearest) {
    // Only a selecting one may speak of ports: they are those of its workload.
    if (spec.selector === undefined) continue;
    for (const [port, { mode: found = 'UNSET' }] of Object.entries(spec.portLevelMtls ?? {})) {
      if (found !== 'UNSET' && found !== mode) ports.set(Number(port), found);
    }
    break;
  }
  return { mode, ports };
}
