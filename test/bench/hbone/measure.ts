/** HBONE against Envoy's on loopback, alternated: stream, round trip, new connections. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.ts';
import { cpuSeconds } from '../process-usage.ts';
import { freePort, stop, type Pair } from './pair.ts';

export const SHAPES = ['stream', 'rr-64', 'crr-64'] as const;
export type HboneShape = (typeof SHAPES)[number];

export interface HboneSample {
  readonly variant: string;
  readonly shape: HboneShape;
  readonly gbps: number | null;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly perSecond: number;
  /** of both ends of the tunnel: a GB of a stream, or an operation in microseconds */
  readonly cpu: number;
}

interface Report {
  readonly gbps: number | null;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly opsPerSecond: number;
  readonly operations: number;
}

export interface Variant {
  readonly name: string;
  /** undefined: the application itself, without a mesh */
  start(appPort: number): Promise<Pair | undefined>;
}

/** crr-fin: of resets Envoy's HTTP/2 takes a thousand at once and then closes the session */
const PROGRAM = { stream: 'stream', 'rr-64': 'rr', 'crr-64': 'crr-fin' } as const;
const PROGRAMS = join(repositoryRoot(), 'test/c/.output');
const STREAM_WRITE_BYTES = 65_536;
const STREAM_READ_BYTES = 262_144;
const SETTLE_MS = 300;
/** A program that compiles as it runs is judged when it has. */
const WARM_UP_SECONDS = 2;

/** One round: each shape under each variant, one after the other. */
export async function measureRound(
  variants: readonly Variant[],
  shapes: readonly HboneShape[],
  seconds: number,
): Promise<HboneSample[]> {
  const samples: HboneSample[] = [];
  for (const shape of shapes) {
    for (const variant of variants) samples.push(await measure(variant, shape, seconds));
  }
  return samples;
}

async function measure(variant: Variant, shape: HboneShape, seconds: number): Promise<HboneSample> {
  const isStream = shape === 'stream';
  const appPort = await freePort();
  const app = `127.0.0.1:${appPort}`;
  const serverArgs = isStream ? ['stream', app, `${STREAM_READ_BYTES}`] : ['rr', app, '64'];
  const server = spawn(join(PROGRAMS, 'bench-server'), serverArgs, { stdio: 'ignore' });
  let pair: Pair | undefined;
  try {
    pair = await variant.start(appPort);
    await sleep(SETTLE_MS);
    const port = pair?.port ?? appPort;
    const run = (duration: number): Promise<Report> =>
      drive([
        PROGRAM[shape],
        `127.0.0.1:${port}`,
        isStream ? `${STREAM_WRITE_BYTES}` : '64',
        `${duration}`,
      ]);
    await run(WARM_UP_SECONDS);
    const before = spent(pair);
    const report = await run(seconds);
    const cpu = spent(pair) - before;
    const gigabytes = ((report.gbps ?? 0) * seconds) / 8;
    return {
      variant: variant.name,
      shape,
      gbps: report.gbps,
      p50Us: report.p50Us,
      p99Us: report.p99Us,
      perSecond: report.opsPerSecond,
      cpu: isStream ? cpu / gigabytes : (cpu / report.operations) * 1e6,
    };
  } finally {
    await pair?.stop();
    await stop(server);
  }
}

function spent(pair: Pair | undefined): number {
  return (pair?.pids ?? []).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

async function drive(args: readonly string[]): Promise<Report> {
  const child: ChildProcess = spawn(join(PROGRAMS, 'bench-client'), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit')]);
  if (code !== 0) throw new Error(`bench-client ${args.join(' ')} ended with ${String(code)}`);
  return JSON.parse(output) as Report;
}
