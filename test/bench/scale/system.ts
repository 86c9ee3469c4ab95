/**
 * podwire as its users run it, on a folder with the mesh: an agent with control inside, or control and an agent as two
 * processes with xDS between them, both started at once, as a cluster does.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from '../sandbox.ts';
import { localYaml, writeMesh, type LocalPods, type ScaleMesh } from './mesh.ts';
import type { ScaleMode } from './options.ts';
import { ScaleProcess } from './process.ts';

export class ScaleSystem {
  readonly agent: ScaleProcess;
  /** the same process when embedded */
  readonly control: ScaleProcess;
  /** where a change is saved */
  readonly folder: string;
  /** from the start of the first process until the agent is ready */
  readonly startMs: number;
  readonly startCpuMs: number;

  private constructor(input: {
    readonly processes: readonly ScaleProcess[];
    readonly folder: string;
    readonly startMs: number;
  }) {
    this.agent = input.processes[0]!;
    this.control = input.processes.at(-1)!;
    this.folder = input.folder;
    this.startMs = input.startMs;
    this.startCpuMs = this.cpuSeconds * 1000;
  }

  static async start(input: {
    readonly sandbox: Sandbox;
    readonly mode: ScaleMode;
    readonly mesh: ScaleMesh;
    readonly local: LocalPods;
    readonly signal: AbortSignal;
  }): Promise<ScaleSystem> {
    const { sandbox, mode, mesh, local, signal } = input;
    const at = (name: string): string => join(sandbox.folder, name);
    const folder = at('config');
    mkdirSync(folder);
    writeMesh(folder, mesh, local);
    mkdirSync(sandbox.bpffs, { recursive: true });
    const cgroup = sandbox.addCgroup('scale');
    const common = ['--cgroup', cgroup, '--bpffs', sandbox.bpffs, '--state-dir', at('state')];
    const agent = [...common, '--admin', at('admin.sock'), '--metrics', 'off'];
    const startedAt = Date.now();
    const processes: ScaleProcess[] = [];
    const spawn = (name: 'agent' | 'control', args: readonly string[]): void => {
      processes.unshift(ScaleProcess.spawn({ sandbox, name, args: [name, ...args], cgroup }));
    };
    try {
      if (mode === 'embedded') {
        spawn('agent', ['--config', folder, ...agent]);
      } else {
        const enrolled = at('enrolled');
        mkdirSync(enrolled);
        writeFileSync(join(enrolled, 'pods.yaml'), localYaml(local));
        const socket = `unix:${at('xds.sock')}`;
        spawn('control', [
          ...['--config', folder, '--listen', socket, '--plaintext', '--drain', '0'],
          ...['--admin', at('control.sock'), '--metrics', 'off', '--state-dir', at('control')],
        ]);
        spawn('agent', ['--config', enrolled, '--xds', socket, ...agent]);
      }
      const readyAt = await processes[0]!.whenReady(signal);
      return new ScaleSystem({ processes, folder, startMs: readyAt - startedAt });
    } catch (error) {
      for (const process of processes) await process.stop();
      throw error;
    }
  }

  /** of all processes */
  get cpuSeconds(): number {
    const { agent, control } = this;
    return agent.cpuSeconds + (control === agent ? 0 : control.cpuSeconds);
  }

  async stop(): Promise<void> {
    await this.agent.stop();
    await this.control.stop();
  }
}
