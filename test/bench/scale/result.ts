/**
 * What a run of `podwire bench --scale` found, as JSON and as lines for people.
 */
import type { ScaleMode } from './options.ts';

export interface ScaleResult {
  readonly pods: number;
  readonly services: number;
  /** from the start of the process until all of the mesh is in the kernel and its pods are captured */
  readonly coldStartMs: number;
  /** from the save of a file until the kernel's table of the Service holds the endpoints it says */
  readonly changeP50Ms: number;
  readonly changeP99Ms: number;
  /** of the stream, until the last change was in the kernel */
  readonly changesPerSecond: number;
  /** of one process, the same figure as agentRssMiB, where control runs inside the agent */
  readonly controlRssMiB: number;
  readonly agentRssMiB: number;
  /** heap of a store filled from wire messages, per workload */
  readonly bytesPerWorkload: number;
  /** that agent and control used together during the stream */
  readonly cpuCores: number;
  /** embedded: control and agent are one process */
  readonly mode: ScaleMode;
  /** network namespaces of this machine among the pods */
  readonly localPods: number;
  readonly coldStartCpuMs: number;
  /** of applying one change: store, plan, disk, kernel; as the agent logged it */
  readonly applyP50Ms: number;
  readonly applyP99Ms: number;
  readonly machine: { readonly cpus: number; readonly kernel: string; readonly node: string };
}

export function renderScale(result: ScaleResult): string {
  const { pods, services, localPods, machine } = result;
  const facts: readonly (readonly [string, string])[] = [
    ['mesh', `${pods} pods (${localPods} here), ${services} Services`],
    ['cold start', `${result.coldStartMs} ms (CPU ${result.coldStartCpuMs} ms)`],
    ['one change', `p50 ${result.changeP50Ms} ms, p99 ${result.changeP99Ms} ms, save to kernel`],
    [
      '  of which',
      `p50 ${result.applyP50Ms} ms, p99 ${result.applyP99Ms} ms in store, plan, kernel`,
    ],
    ['stream', `${result.changesPerSecond} changes/s with ${result.cpuCores} cores`],
    ['memory', memoryText(result)],
    ['store', `${result.bytesPerWorkload} bytes of heap per workload`],
    ['machine', `${machine.cpus} CPUs, kernel ${machine.kernel}, Node ${machine.node}`],
  ];
  return facts.map(([name, value]) => `${name.padEnd(11)} ${value}\n`).join('');
}

function memoryText({ mode, agentRssMiB, controlRssMiB }: ScaleResult): string {
  return mode === 'embedded'
    ? `${agentRssMiB} MiB resident, agent and control in one process`
    : `agent ${agentRssMiB} MiB, control ${controlRssMiB} MiB resident`;
}

/** Nearest rank; `values` is not empty. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil((percent / 100) * sorted.length));
  return sorted[rank - 1]!;
}

export function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}
