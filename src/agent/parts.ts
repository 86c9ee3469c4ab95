/** The agent's parts, as the composition root puts them together and the admin view reads them. */
import type { Binding } from '../kernel/binding.ts';
import type { Connections } from '../kernel/connections.ts';
import type { DataPath } from '../kernel/data-path.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Settings } from '../kernel/settings.ts';
import type { Log } from '../log.ts';
import type { KernelNumbers } from '../telemetry/kernel-metrics.ts';
import type { Certificates } from './certificates/certificates.ts';
import type { Cuts } from './cuts.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Flows } from './flows.ts';
import type { Learning } from './learning.ts';
import type { Mesh } from './mesh.ts';

/** What the process gives it. */
export interface AgentDeps {
  readonly log: Log;
  readonly setLogLevel: (level: string) => boolean;
  /** somebody asked over the admin socket */
  readonly onShutdown: () => void;
  readonly signal?: AbortSignal;
}

export interface AgentParts {
  readonly binding: Binding;
  readonly path: DataPath;
  readonly settings: Settings;
  readonly connections: Connections;
  readonly reconciler: Reconciler;
  readonly mesh: Mesh;
  readonly flows: Flows;
  readonly cuts: Cuts;
  readonly learning: Learning;
  readonly kernel: KernelNumbers;
  /** whether connections are spliced at all, and why not */
  readonly splice: { readonly enabled: boolean; readonly reason: string };
  /** undefined: the mesh comes from the config folder */
  readonly xds: Pick<ControlPlane, 'status' | 'leftOut' | 'node' | 'met' | 'onDemand'> | undefined;
  readonly certificates: Pick<
    Certificates,
    'source' | 'reason' | 'list' | 'chains' | 'numbers' | 'findings' | 'crl'
  >;
}
