/**
 * From the samples of all rounds to what the bench says: medians, spreads, and the ratio of every variant to every
 * other.  BenchResult is what `--json` writes.
 */
import type { VariantName } from './options.ts';
import { METRICS, type Cpu, type Metric, type Shape } from './shapes.ts';
import { median, ratioOf, spreadOf, type Spread } from './statistics.ts';

/** What a client measures; null where the shape has no such figure. */
export interface Figures {
  readonly p50Us: number | null;
  readonly p90Us: number | null;
  readonly p99Us: number | null;
  readonly p999Us: number | null;
  readonly opsPerSecond: number;
  readonly gbps: number | null;
}

/** What one driver run of one round measured. */
export interface Sample extends Figures {
  /** with the warm-up: what the CPU seconds were spent on */
  readonly operations: number;
  /** blocking reads that returned EAGAIN: a program without our patience would have failed */
  readonly emptyWakes: number;
  /** of client and server */
  readonly driverCpuSeconds: number;
  readonly meshCpuSeconds: number;
  readonly meshRssMiB: number;
}

export interface ShapeResult extends Figures {
  readonly shape: string;
  readonly variant: VariantName;
  readonly meshCpuSecondsPer100k: number;
  /** of streams: for 10⁹ bytes; null for others */
  readonly meshCpuSecondsPerGb: number | null;
  readonly meshRssMiB: number;
  readonly cpu: Cpu;
  readonly iptablesRules: number;
  /** quartiles of the shape's first figure: p50Us, opsPerSecond or gbps */
  readonly spread: Spread;
}

export interface RatioResult {
  readonly shape: string;
  readonly variant: VariantName;
  readonly against: VariantName;
  readonly metric: Metric;
  readonly value: number;
  readonly spread: Spread;
}

export interface Machine {
  readonly kernel: string;
  readonly architecture: string;
  readonly cpuModel: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly node: string;
  /** undefined: no sidecar was measured */
  readonly envoy?: string;
  readonly httpServer: string;
  readonly date: string;
  /** until the agent trusted the drivers' programs */
  readonly learningSeconds?: number;
}

/** What open connections without traffic cost the mesh. */
export interface IdleResult {
  readonly variant: VariantName;
  readonly connections: number;
  /** RSS of the whole mesh */
  readonly beforeMiB: number;
  readonly afterMiB: number;
  readonly kibPerConnection: number;
}

export interface BenchResult {
  readonly machine: Machine;
  readonly rounds: number;
  readonly results: readonly ShapeResult[];
  readonly ratios: readonly RatioResult[];
  /** two nodes */
  readonly idle?: readonly IdleResult[];
}

/** All samples of one shape and one variant, in the order of the rounds. */
export interface Series {
  readonly shape: Shape;
  readonly variant: VariantName;
  readonly samples: readonly Sample[];
}

const PERCENTILES = ['p50Us', 'p90Us', 'p99Us', 'p999Us'] as const;

export function buildResult(input: {
  readonly machine: Machine;
  readonly rounds: number;
  readonly iptablesRules: number;
  readonly series: readonly Series[];
  readonly idle?: readonly IdleResult[];
}): BenchResult {
  const series = input.series.filter(({ samples }) => samples.length > 0);
  return {
    machine: input.machine,
    rounds: input.rounds,
    results: series.map((one) => summarize(one, input.iptablesRules)),
    ratios: series.flatMap((one) => compare(one, series)),
    ...(input.idle && { idle: input.idle }),
  };
}

/** CPU seconds of client, server and mesh together per 100,000 operations. */
export function totalCpuPer100k(samples: readonly Sample[]): number {
  return per100k(samples, (sample) => sample.driverCpuSeconds + sample.meshCpuSeconds);
}

function summarize({ shape, variant, samples }: Series, iptablesRules: number): ShapeResult {
  const [p50Us, p90Us, p99Us, p999Us] = PERCENTILES.map((name) =>
    medianOrNull(samples.map((sample) => sample[name])),
  );
  return {
    shape: shape.name,
    variant,
    p50Us: p50Us ?? null,
    p90Us: p90Us ?? null,
    p99Us: p99Us ?? null,
    p999Us: p999Us ?? null,
    opsPerSecond: median(samples.map((sample) => sample.opsPerSecond)),
    gbps: medianOrNull(samples.map((sample) => sample.gbps)),
    meshCpuSecondsPer100k: meshPer100k(samples),
    meshCpuSecondsPerGb: perGb(shape, samples),
    meshRssMiB: median(samples.map((sample) => sample.meshRssMiB)),
    cpu: shape.cpu,
    iptablesRules,
    spread: spreadOf(valuesOf(shape, samples, shape.headline) ?? []),
  };
}

function compare(one: Series, all: readonly Series[]): RatioResult[] {
  const others = all.filter(
    ({ shape, variant }) => shape.name === one.shape.name && variant !== one.variant,
  );
  return others.flatMap((other) =>
    (Object.keys(METRICS) as Metric[]).flatMap((metric) => {
      const values = valuesOf(one.shape, one.samples, metric);
      const base = valuesOf(other.shape, other.samples, metric);
      const ratio = values && base && ratioOf(values, base);
      if (ratio === undefined) return [];
      const { variant } = one;
      return [{ shape: one.shape.name, variant, against: other.variant, metric, ...ratio }];
    }),
  );
}

/** undefined when the shape has no such figure. */
function valuesOf(shape: Shape, samples: readonly Sample[], metric: Metric): number[] | undefined {
  const values = samples.map((sample) => {
    if (metric === 'meshCpuSecondsPer100k') return meshPer100k([sample]);
    return metric === 'meshCpuSecondsPerGb' ? perGb(shape, [sample]) : sample[metric];
  });
  return values.every((value) => value !== null) ? values : undefined;
}

function medianOrNull(values: readonly (number | null)[]): number | null {
  const numbers = values.filter((value) => value !== null);
  return numbers.length === values.length ? median(numbers) : null;
}

function meshPer100k(samples: readonly Sample[]): number {
  return per100k(samples, ({ meshCpuSeconds }) => meshCpuSeconds);
}

/** An operation of a stream is a write. */
function perGb({ load }: Shape, samples: readonly Sample[]): number | null {
  if (load.kind !== 'stream') return null;
  return (meshPer100k(samples) / (100_000 * load.bytes)) * 1e9;
}

function per100k(samples: readonly Sample[], seconds: (sample: Sample) => number): number {
  const operations = samples.reduce((sum, sample) => sum + sample.operations, 0);
  return (samples.reduce((sum, sample) => sum + seconds(sample), 0) / operations) * 100_000;
}

export function findRatio(
  ratios: readonly RatioResult[],
  shape: string,
  variant: VariantName,
  against: VariantName,
  metric: Metric,
): RatioResult | undefined {
  return ratios.find(
    (ratio) =>
      ratio.shape === shape &&
      ratio.variant === variant &&
      ratio.against === against &&
      ratio.metric === metric,
  );
}
