/**
 * Filter rules that match nothing: what a node with many Services and NetworkPolicies makes every packet walk through.
 */
import { inNetns } from './sandbox.ts';
import type { Pod } from './sandbox.ts';

/** 198.18.0.0/15 is set aside for benchmarks. */
export function fillerRules(count: number): string {
  const lines = ['*filter'];
  for (let index = 0; index < count; index++) {
    const other = `198.18.${(index >> 8) & 0xff}.${index & 0xff}/32`;
    lines.push(`-A OUTPUT -d ${other} -p tcp -m tcp --dport 1 -j DROP`);
    lines.push(`-A INPUT -s ${other} -p tcp -m tcp --dport 1 -j DROP`);
  }
  return `${lines.join('\n')}\nCOMMIT\n`;
}

export function addFillerRules(pods: readonly Pod[], count: number): void {
  if (count === 0) return;
  const rules = fillerRules(count);
  for (const { netns } of pods) inNetns(netns, 'iptables-restore', [], rules);
}
