/** Whether connections may be spliced at all on this kernel, and why not. */
import { join } from 'node:path';
import type { AgentOptions } from '../config/agent-options.ts';
import type { Binding } from '../kernel/binding.ts';
import { SelfTest } from '../kernel/self-test.ts';

export interface SpliceDecision {
  readonly enabled: boolean;
  readonly reason: string;
}

/** `objects`: folder of the BPF objects */
export async function decideSplicing(
  { splice }: Pick<AgentOptions, 'splice'>,
  binding: Binding,
  objects: string,
): Promise<SpliceDecision> {
  if (!splice) return { enabled: false, reason: 'switched off by --splice off' };
  const test = new SelfTest({ binding, objectPath: join(objects, 'selftest.bpf.o') });
  const result = await test.run();
  return result.ok ? { enabled: true, reason: '' } : { enabled: false, reason: result.reason };
}
