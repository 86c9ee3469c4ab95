/**
 * Series of the process itself, under the names every Prometheus library gives them.
 */
import { readdirSync } from 'node:fs';
import type { MetricsRegistry } from './registry.ts';

export function registerProcess(registry: MetricsRegistry): void {
  const cpu = registry.counter<never>({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of the process, in seconds',
  });
  const memory = registry.gauge<never>({
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process',
  });
  const fds = registry.gauge<never>({
    name: 'process_open_fds',
    help: 'Open file descriptors of the process',
  });
  registry
    .gauge<never>({ name: 'process_start_time_seconds', help: 'Start of the process, Unix time' })
    .set(one(Math.round(performance.timeOrigin) / 1000));

  registry.beforeScrape('process', () => {
    const { user, system } = process.cpuUsage();
    cpu.set(one((user + system) / 1e6));
    memory.set(one(process.memoryUsage.rss()));
    fds.set(one(readdirSync('/proc/self/fd').length));
  });
}

function one(value: number): [{ labels: Record<never, string>; value: number }] {
  return [{ labels: {}, value }];
}
