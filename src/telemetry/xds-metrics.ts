/**
 * Series about the conversation with xDS servers.
 */
import type { MetricsRegistry } from './registry.ts';

export interface XdsNumbers {
  readonly servers: readonly {
    readonly address: string;
    readonly active: boolean;
    readonly state: string;
    readonly reconnects: number;
    readonly bytes: number;
  }[];
  readonly types: readonly {
    readonly type: string;
    readonly resources: number;
    readonly pushes: number;
    readonly rejects: number;
  }[];
  readonly stale: { readonly ageSeconds: number } | null;
  readonly waiting: readonly string[];
  readonly switches: number;
}

export interface XdsMetricsOptions {
  readonly registry: MetricsRegistry;
  readonly numbers: () => XdsNumbers;
}

const PREFIX = 'podwire_xds_';

export function registerXdsMetrics({ registry, numbers }: XdsMetricsOptions): void {
  const server = ['server'] as const;
  const type = ['type'] as const;
  const gauge = <L extends string>(name: string, help: string, labels: readonly L[]) =>
    registry.gauge({ name: PREFIX + name, help, labels });
  const counter = <L extends string>(name: string, help: string, labels: readonly L[]) =>
    registry.counter({ name: PREFIX + name, help, labels });

  const connected = gauge('connected', '1 while a stream to the server is up', server);
  const active = gauge('active', '1 for the server whose word counts', server);
  const reconnects = counter('reconnects_total', 'Streams that ended', server);
  const bytes = counter('received_bytes_total', 'Size of the messages received', server);
  const resources = gauge('resources', 'Resources held', type);
  const pushes = counter('pushes_total', 'Responses of the active server', type);
  const rejects = counter('rejects_total', 'Responses of the active server with a refusal', type);
  const stale = gauge<never>('stale_seconds', 'Age of the saved configuration in force, or 0', []);
  const waiting = gauge<never>('held_back', 'Resources that wait for what they name', []);
  const switches = counter<never>('switches_total', 'Changes of the active server', []);

  registry.beforeScrape('xds', () => {
    const now = numbers();
    const perServer = (value: (one: XdsNumbers['servers'][number]) => number) =>
      now.servers.map((one) => ({ labels: { server: one.address }, value: value(one) }));
    const perType = (value: (one: XdsNumbers['types'][number]) => number) =>
      now.types.map((one) => ({ labels: { type: one.type }, value: value(one) }));
    connected.set(perServer(({ state }) => Number(state === 'up')));
    active.set(perServer((one) => Number(one.active)));
    reconnects.set(perServer((one) => one.reconnects));
    bytes.set(perServer((one) => one.bytes));
    resources.set(perType((one) => one.resources));
    pushes.set(perType((one) => one.pushes));
    rejects.set(perType((one) => one.rejects));
    stale.set([{ labels: {}, value: now.stale?.ageSeconds ?? 0 }]);
    waiting.set([{ labels: {}, value: now.waiting.length }]);
    switches.set([{ labels: {}, value: now.switches }]);
  });
}
