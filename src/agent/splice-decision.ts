/** Whether connections are spliced at all: the operator's word, then the proof on this kernel. */
import type { AgentOptions } from '../config/agent-options.ts';
import type { SelfTest } from '../kernel/self-test.ts';

export async function spliceDecision(
  options: AgentOptions,
  test: SelfTest,
): Promise<{ enabled: boolean; reason: string }> {
  if (!options.splice) return { enabled: false, reason: 'switched off by --splice off' };
  const result = await test.run();
  return result.ok ? { enabled: true, reason: '' } : { enabled: false, reason: result.reason };
}
