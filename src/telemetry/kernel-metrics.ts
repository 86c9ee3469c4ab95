/**
 * podwire's own series about the data path.  All of them come from kernel counters that are added up at scrape, so they
 * are right also for what happened while no agent was there; every name of the enums is shown from the start, at 0.
 */
import { Counter, counterNames, Reason, reasonNames } from '../kernel/abi/layout.gen.ts';
import type { MetricsRegistry, Sample } from './registry.ts';

export interface MapUsage {
  readonly map: string;
  readonly entries: number;
  readonly capacity: number;
}

/** Sums over all CPUs, indexed by the enum. */
export interface KernelNumbers {
  counters(): readonly bigint[];
  reasons(): readonly bigint[];
  maps(): readonly MapUsage[];
}

export interface KernelMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly kernel: KernelNumbers;
}

export function isDenied(reason: number): boolean {
  return reason > Reason.NONE && reason <= Reason.MAP_FULL;
}

export function registerKernelMetrics({ registry, kernel }: KernelMetricsOptions): void {
  const denied = registry.counter({
    name: 'podwire_connections_denied_total',
    help: 'Connections that were refused or cut, by reason',
    labels: ['reason'],
  });
  const notSpliced = registry.counter({
    name: 'podwire_connections_not_spliced_total',
    help: 'Connections that stayed on TCP, by reason',
    labels: ['reason'],
  });
  const spliced = registry.counter<never>({
    name: 'podwire_connections_spliced_total',
    help: 'Connections whose two sockets were joined in the kernel',
  });
  const counters = registry.counter({
    name: 'podwire_kernel_counter_total',
    help: 'Every counter of the BPF programs (enum counter of bpf/abi.h)',
    labels: ['counter'],
  });
  const eventsLost = registry.counter<never>({
    name: 'podwire_events_lost_total',
    help: 'Connection events that found the ring full: missing in the access log',
  });
  const entries = registry.gauge({
    name: 'podwire_map_entries',
    help: 'Entries of a BPF map',
    labels: ['map'],
  });
  const capacity = registry.gauge({
    name: 'podwire_map_capacity',
    help: 'Entries that a BPF map has room for',
    labels: ['map'],
  });

  registry.beforeScrape('kernel counters', () => {
    const sums = kernel.counters();
    counters.set(
      counterNames.map((counter, i) => ({ labels: { counter }, value: Number(sums[i] ?? 0n) })),
    );
    spliced.set([{ labels: {}, value: Number(sums[Counter.SPLICED] ?? 0n) }]);
    eventsLost.set([{ labels: {}, value: Number(sums[Counter.EVENTS_LOST] ?? 0n) }]);
  });
  registry.beforeScrape('kernel reasons', () => {
    const sums = kernel.reasons();
    const samples = reasonNames.map((reason, i): Sample<'reason'> => ({
      labels: { reason },
      value: Number(sums[i] ?? 0n),
    }));
    denied.set(samples.filter((_, i) => isDenied(i)));
    notSpliced.set(samples.filter((_, i) => i !== Reason.NONE && !isDenied(i)));
  });
  registry.beforeScrape('kernel maps', () => {
    const maps = kernel.maps();
    entries.set(maps.map(({ map, entries: value }) => ({ labels: { map }, value })));
    capacity.set(maps.map(({ map, capacity: value }) => ({ labels: { map }, value })));
  });
}
