/**
 * One measurement: starts the server of a shape in the server's pod, drives it from the client's pod, and reads what
 * everybody spent on it.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { repositoryRoot } from '../support/repository.ts';
import { nginxConfig } from './nginx.ts';
import type { HttpServer } from './options.ts';
import { cpuSeconds, isListening, rssMiB } from './process-usage.ts';
import type { Figures, Sample } from './result.ts';
import { NETNS_FOLDER } from './sandbox.ts';
import type { Place, Sandbox } from './sandbox.ts';
import { BODY_BYTES, type Load, type Shape } from './shapes.ts';
import { waitFor } from './wait.ts';

/** the stream's server reads as much as there is */
const STREAM_READ_BYTES = 262_144;
const START_MS = 10_000;
const GRACE_MS = 20_000;
/** The warm-up is a tenth of the measured time. */
const WARM_UP = 1.1;

/** Two pods, or two processes of one, and what stands between them. */
export interface Route {
  readonly client: Place;
  readonly server: Place;
  /** undefined: a Unix socket */
  readonly serverAddress: string | undefined;
  /** what the mesh consists of */
  readonly meshPids: readonly number[];
  /** those of them that share the CPUs of the pods */
  readonly sidecarPids: readonly number[];
}

/** Resets use up no ports; FINs are what tunnels carry without counting them as an attack. */
export type Closing = 'reset' | 'fin';

export interface CpuPlan {
  readonly client: string | undefined;
  readonly server: string | undefined;
}

/** What a client of test/c prints. */
interface DriverReport extends Figures {
  readonly operations: number;
  /** blocking reads that returned without data */
  readonly emptyWakes: number;
  readonly cpuSeconds: number;
}

export class Drivers {
  readonly #sandbox: Sandbox;
  readonly #httpServer: HttpServer;
  /** how short connections end */
  readonly #closing: Closing;
  readonly #signal: AbortSignal;
  #sockets = 0;

  constructor(options: {
    readonly sandbox: Sandbox;
    readonly httpServer: HttpServer;
    readonly closing: Closing;
    readonly signal: AbortSignal;
  }) {
    this.#sandbox = options.sandbox;
    this.#closing = options.closing;
    this.#httpServer = options.httpServer;
    this.#signal = options.signal;
  }

  /** What runs under this load, by file name. */
  programs(load: Load): string[] {
    if (load.kind !== 'http') return ['bench-client', 'bench-server'];
    return ['bench-httpload', this.#httpServer];
  }

  async measure(input: {
    readonly shape: Shape;
    readonly route: Route;
    readonly cpus: CpuPlan;
    readonly seconds: number;
  }): Promise<Sample> {
    const { shape, route, cpus, seconds } = input;
    const address = this.#address(shape.port, route);
    const server = this.#startServer(shape.load, address, route.server, cpus.server);
    try {
      const pid = await this.#serverReady(server, address, route.server);
      const before = { server: cpuSeconds(pid), mesh: sumCpu(route.meshPids) };
      const report = await this.#runClient(shape.load, address, route.client, cpus.client, seconds);
      return {
        p50Us: report.p50Us,
        p90Us: report.p90Us,
        p99Us: report.p99Us,
        p999Us: report.p999Us,
        opsPerSecond: report.opsPerSecond,
        gbps: report.gbps,
        operations: report.operations,
        emptyWakes: report.emptyWakes,
        driverCpuSeconds: report.cpuSeconds + cpuSeconds(pid) - before.server,
        meshCpuSeconds: sumCpu(route.meshPids) - before.mesh,
        meshRssMiB: route.meshPids.reduce((sum, pid) => sum + rssMiB(pid), 0),
      };
    } finally {
      await stop(server);
    }
  }

  #address(port: number, route: Route): string {
    if (route.serverAddress === undefined) {
      return `unix:${join(this.#sandbox.folder, `socket-${++this.#sockets}`)}`;
    }
    return `${route.serverAddress}:${port}`;
  }

  #startServer(load: Load, address: string, place: Place, cpus: string | undefined): ChildProcess {
    const launch = { place, cpus };
    if (load.kind !== 'http') {
      const stream = load.kind === 'stream';
      const bytes = stream ? STREAM_READ_BYTES : load.bytes;
      const args = [stream ? 'stream' : 'rr', address, String(bytes)];
      return this.#sandbox.start(driverProgram('bench-server'), args, launch);
    }
    if (this.#httpServer === 'nginx') {
      const config = this.#sandbox.writeFile('nginx.conf', nginxConfig(this.#sandbox, address));
      return this.#sandbox.start(this.#httpServer, ['-c', config], launch);
    }
    const args = [address, String(BODY_BYTES)];
    return this.#sandbox.start(driverProgram(this.#httpServer), args, launch);
  }

  #serverReady(child: ChildProcess, address: string, { netns }: Place): Promise<number> {
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    const [host, rest] = address.split(':');
    return waitFor({
      what: 'the server',
      child,
      timeoutMs: START_MS,
      signal: this.#signal,
      isReady: (pid) =>
        host === 'unix' || netns === undefined
          ? existsSync(rest ?? '')
          : isListening(pid, join(NETNS_FOLDER, netns), Number(rest)),
      explain: () => said,
    });
  }

  async #runClient(
    load: Load,
    address: string,
    place: Place,
    cpus: string | undefined,
    seconds: number,
  ): Promise<DriverReport> {
    const [program, args] = clientCommand(load, address, seconds, this.#closing);
    const child = this.#sandbox.start(driverProgram(program), args, { place, cpus });
    const limit = AbortSignal.timeout(seconds * WARM_UP * 1_000 + GRACE_MS);
    const stopped = AbortSignal.any([this.#signal, limit]);
    const kill = (): void => void child.kill('SIGKILL');
    stopped.addEventListener('abort', kill, { once: true });
    try {
      const output = Promise.all([collect(child.stdout), collect(child.stderr)]);
      const [code] = (await once(child, 'close')) as [number | null];
      const [stdout, stderr] = await output;
      this.#signal.throwIfAborted();
      if (limit.aborted)
        throw new Error(`${program} did not end within ${GRACE_MS / 1_000} s of its time`);
      if (code !== 0) throw new Error(`${program} failed: ${stderr.trim() || `exit code ${code}`}`);
      return JSON.parse(stdout) as DriverReport;
    } finally {
      stopped.removeEventListener('abort', kill);
    }
  }
}

function clientCommand(
  load: Load,
  address: string,
  seconds: number,
  closing: Closing,
): [string, string[]] {
  if (load.kind !== 'http') {
    const mode = load.kind === 'crr' && closing === 'fin' ? 'crr-fin' : load.kind;
    return ['bench-client', [mode, address, String(load.bytes), String(seconds)]];
  }
  const rate = load.qps === undefined ? [] : [String(load.qps)];
  return ['bench-httpload', [address, String(load.connections), String(seconds), ...rate]];
}

/** A program of test/c. */
export function driverProgram(name: string): string {
  const path = join(repositoryRoot(), 'test/c/.output', name);
  if (!existsSync(path)) throw new Error(`${path} is not built; fix: npm run build:c`);
  return path;
}

function collect(stream: Readable | null): Promise<string> {
  return stream === null ? Promise.resolve('') : text(stream);
}

function sumCpu(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}
