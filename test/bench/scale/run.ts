/**
 * `podwire bench --scale`: a mesh of N pods from a folder into the kernel, then changes of one endpoint.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, release } from 'node:os';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PodwireError } from '../../../src/errors.ts';
import { Sandbox } from '../sandbox.ts';
import { Changes } from './changes.ts';
import { KernelServices } from './kernel-services.ts';
import { scaleMesh, spread, type ScaleMesh } from './mesh.ts';
import type { ScaleOptions } from './options.ts';
import { percentile, round, type ScaleResult } from './result.ts';
import { ScaleSystem } from './system.ts';

export interface ScaleInput {
  readonly options: ScaleOptions;
  /** one line for the person who waits */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

export async function runScale(input: ScaleInput): Promise<ScaleResult> {
  const { options, progress, signal } = input;
  if (process.getuid?.() !== 0) {
    throw new PodwireError('ERR_NOT_ROOT', 'the bench makes network namespaces', {
      hint: 'run it as root (sudo)',
    });
  }
  const mesh = scaleMesh(options.pods);
  progress(`filling a store with ${mesh.pods} workloads`);
  const bytesPerWorkload = await heapPerWorkload(mesh.pods, signal);
  const sandbox = new Sandbox();
  let system: ScaleSystem | undefined;
  try {
    progress(`making ${options.localPods} pods`);
    const names = Array.from({ length: options.localPods }, (_, i) => `pod${i}`);
    const local = spread(
      names.map((name) => sandbox.addPod(name)),
      mesh,
    );
    progress(`starting with ${mesh.pods} pods and ${mesh.services} Services (${options.mode})`);
    system = await ScaleSystem.start({ sandbox, mode: options.mode, mesh, local, signal });
    const kernel = new KernelServices(sandbox.bpffs);
    try {
      checkComplete(kernel, mesh);
      progress(`ready after ${Math.round(system.startMs)} ms; changing one endpoint at a time`);
      const changes = new Changes({ folder: system.folder, mesh, local, kernel });
      const measured = await measure({ options, changes, system, signal, progress });
      return {
        pods: mesh.pods,
        services: mesh.services,
        coldStartMs: Math.round(system.startMs),
        ...measured,
        bytesPerWorkload,
        mode: options.mode,
        localPods: local.size,
        coldStartCpuMs: Math.round(system.startCpuMs),
        machine: { cpus: availableParallelism(), kernel: release(), node: process.version },
      };
    } finally {
      kernel.close();
    }
  } catch (error) {
    throw signal.aborted ? error : sandbox.explain(error);
  } finally {
    await system?.stop();
    sandbox.close();
  }
}

type Measured = Pick<
  ScaleResult,
  | 'changeP50Ms'
  | 'changeP99Ms'
  | 'changesPerSecond'
  | 'controlRssMiB'
  | 'agentRssMiB'
  | 'cpuCores'
  | 'applyP50Ms'
  | 'applyP99Ms'
>;

async function measure(input: {
  readonly options: ScaleOptions;
  readonly changes: Changes;
  readonly system: ScaleSystem;
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}): Promise<Measured> {
  const { options, changes, system, signal, progress } = input;
  const times = await changes.oneByOne(options.changes, signal);
  const applied = system.agent.applied();
  progress(`p99 ${round(percentile(times, 99))} ms; ${options.changesPerSecond} changes/s now`);
  const [cpuBefore, wallBefore] = [system.cpuSeconds, performance.now()];
  const rate = await changes.stream(options.streamSeconds, options.changesPerSecond, signal);
  const cpu = system.cpuSeconds - cpuBefore;
  const wall = (performance.now() - wallBefore) / 1000;
  return {
    changeP50Ms: round(percentile(times, 50)),
    changeP99Ms: round(percentile(times, 99)),
    changesPerSecond: round(rate),
    controlRssMiB: round(system.control.rssMiB),
    agentRssMiB: round(system.agent.rssMiB),
    cpuCores: round(cpu / wall, 3),
    applyP50Ms: percentile(applied, 50),
    applyP99Ms: percentile(applied, 99),
  };
}

function checkComplete(kernel: KernelServices, mesh: ScaleMesh): void {
  const { size } = kernel;
  if (size === mesh.services) return;
  throw new Error(`the kernel knows ${size} of ${mesh.services} Services`);
}

/** In a process of its own: its heap holds nothing else. */
async function heapPerWorkload(pods: number, signal: AbortSignal): Promise<number> {
  const extension = extname(import.meta.url);
  const program = fileURLToPath(new URL(`./heap${extension}`, import.meta.url));
  const child = spawn(process.execPath, ['--expose-gc', program, String(pods)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    signal,
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`measuring the heap failed (${code})`);
  return Number(said);
}
