/** `podwire control` inside the agent: a folder describes the mesh, or only which pods are captured. */
import type { AgentOptions } from '../config/agent-options.ts';
import type { Log } from '../log.ts';
import type { Mesh } from './mesh.ts';

export async function startEmbeddedControl(input: {
  readonly dir: string;
  readonly options: AgentOptions;
  readonly mesh: Mesh;
  readonly log: Log;
}): Promise<{ close(): Promise<void> }> {
  const { dir, options, mesh, log } = input;
  // Its validators cost time and memory that an agent without a folder need not spend.
  const { startControl } = await import('../control/app.ts');
  const control = await startControl({
    dir,
    log,
    trustDomain: options.trustDomain,
    clusterId: options.clusterId,
    meshConfig: options.meshConfig,
    // with xDS servers the folder says which pods are captured, and nothing else
    onUpdate: (update) =>
      mesh.update({
        enrolled: update.enrolled,
        findings: () => update.findings,
        ...(options.xds ? {} : { mesh: update.mesh }),
      }),
  });
  if (options.xds !== undefined) return control;
  const { warmUpSchemas } = await import('../control/schema/warm-up.ts');
  const stopWarming = warmUpSchemas();
  return {
    close: () => {
      stopWarming();
      return control.close();
    },
  };
}
