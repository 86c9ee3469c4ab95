/**
 * What the figures were measured on.
 */
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os';
import { ENVOY_VERSION } from './envoy.ts';
import type { Machine } from './result.ts';

const BYTES_PER_MIB = 1024 * 1024;

export function describeMachine(input: {
  readonly httpServer: string;
  readonly sidecars: boolean;
  readonly learningSeconds: number | undefined;
}): Machine {
  const { httpServer, sidecars, learningSeconds } = input;
  return {
    kernel: release(),
    architecture: arch(),
    cpuModel: cpus()[0]?.model ?? 'unknown',
    cpus: availableParallelism(),
    memoryMiB: Math.round(totalmem() / BYTES_PER_MIB),
    node: process.version,
    ...(sidecars && { envoy: ENVOY_VERSION }),
    httpServer,
    date: new Date().toISOString(),
    ...(learningSeconds !== undefined && { learningSeconds }),
  };
}
