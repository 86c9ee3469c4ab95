/**
 * Made-up samples and results for the tests of the bench.
 */
import type { BenchOutcome } from '../../bench/bench.ts';
import type { VariantName } from '../../bench/options.ts';
import { buildResult, type Machine, type Sample, type Series } from '../../bench/result.ts';
import { findShape } from '../../bench/shapes.ts';

export const MACHINE: Machine = {
  kernel: '6.18.0',
  architecture: 'x64',
  cpuModel: 'A <fast> CPU',
  cpus: 2,
  memoryMiB: 4096,
  node: 'v20.19.0',
  httpServer: 'bench-httpd',
  date: '2026-11-21T00:00:00.000Z',
  learningSeconds: 3.25,
};

export function sample(values: Partial<Sample>): Sample {
  return {
    p50Us: 10,
    p90Us: 11,
    p99Us: 12,
    p999Us: 30,
    opsPerSecond: 100_000,
    gbps: null,
    operations: 100_000,
    emptyWakes: 0,
    driverCpuSeconds: 1,
    meshCpuSeconds: 0,
    meshRssMiB: 0,
    ...values,
  };
}

export function series(
  name: string,
  variant: VariantName,
  rounds: readonly Partial<Sample>[],
): Series {
  const shape = findShape(name);
  if (shape === undefined) throw new Error(`no shape ${name}`);
  return { shape, variant, samples: rounds.map(sample) };
}

const STREAM = { p50Us: null, p90Us: null, p99Us: null, p999Us: null };

/** Three rounds in which podwire halves latency, equals plain in one stream, and Envoy is slow. */
export function outcome(): BenchOutcome {
  const all = [
    series('tcp-rr-64', 'plain', [{ p50Us: 8 }, { p50Us: 10 }, { p50Us: 9 }]),
    series('tcp-rr-64', 'podwire', [
      { p50Us: 4, meshRssMiB: 70 },
      { p50Us: 5, meshRssMiB: 72, emptyWakes: 3 },
      { p50Us: 4.5, meshRssMiB: 71 },
    ]),
    series('tcp-rr-64', 'sidecar-mtls', [
      { p50Us: 40, meshCpuSeconds: 4 },
      { p50Us: 50, meshCpuSeconds: 5 },
      { p50Us: 45, meshCpuSeconds: 6 },
    ]),
    series(
      'tcp-stream',
      'plain',
      [10, 12, 11].map((gbps) => ({ ...STREAM, gbps })),
    ),
    series(
      'tcp-stream',
      'podwire',
      [11, 11, 11].map((gbps) => ({ ...STREAM, gbps })),
    ),
  ];
  return {
    result: buildResult({ machine: MACHINE, rounds: 3, iptablesRules: 0, series: all }),
    series: all,
    hooks: [],
    missing: new Map([['sidecar', 'no Envoy here']]),
  };
}
