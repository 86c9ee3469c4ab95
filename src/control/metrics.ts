/**
 * Series of control: pushes, answers, streams.
 */
import type { MetricsRegistry, ObservedFamily } from '../telemetry/registry.ts';
import type { ConnectionGate } from './connection-gate.ts';
import { RESOURCE_ORDER, type ResourceKey } from '../xds/resource-types.ts';
import type { ServerNumbers } from '../xds/server/status.ts';
import type { StreamEvents } from '../xds/server/stream.ts';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const BYTES = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];
/** google.rpc.Code of a refusal: anything else is counted as other */
const NACK_REASONS: ReadonlyMap<number, string> = new Map([
  [3, 'invalid'],
  [8, 'too-much'],
  [12, 'unsupported'],
  [13, 'internal'],
]);
/** Clients choose the names: a label would have no bound. */
const COUNTED = ['resources', 'removals'] as const;

export class ControlMetrics implements StreamEvents {
  readonly #pushTime: ObservedFamily<'type'>;
  readonly #convergence: ObservedFamily<'type'>;
  readonly #pushSize: ObservedFamily<'type'>;
  readonly #sent = new Map<string, number>();
  readonly #nacks = new Map<string, number>();
  #staleNonces = 0;
  #unknownTypes = 0;

  constructor(registry: MetricsRegistry, numbers: () => ServerNumbers) {
    this.#pushTime = registry.histogram({
      name: 'podwire_control_push_seconds',
      help: 'From the oldest change in a response to its sending',
      labels: ['type'],
      buckets: SECONDS,
    });
    this.#convergence = registry.histogram({
      name: 'podwire_control_convergence_seconds',
      help: 'From the oldest change in a response to its ACK, per agent',
      labels: ['type'],
      buckets: SECONDS,
    });
    this.#pushSize = registry.histogram({
      name: 'podwire_control_push_bytes',
      help: 'Size of responses',
      labels: ['type'],
      buckets: BYTES,
    });
    this.#register(registry, numbers);
  }

  pushed(key: ResourceKey, push: Parameters<StreamEvents['pushed']>[1]): void {
    this.#pushTime.observe({ type: key }, push.delayMs / 1000);
    this.#pushSize.observe({ type: key }, push.bytes);
    for (const kind of COUNTED) add(this.#sent, `${key} ${kind}`, push[kind]);
  }

  acked(key: ResourceKey, delayMs: number): void {
    this.#convergence.observe({ type: key }, delayMs / 1000);
  }

  nacked(key: ResourceKey, { code }: { code: number }): void {
    add(this.#nacks, `${key} ${NACK_REASONS.get(code) ?? 'other'}`, 1);
  }

  staleNonce(): void {
    this.#staleNonces++;
  }

  unknownType(): void {
    this.#unknownTypes++;
  }

  #register(registry: MetricsRegistry, numbers: () => ServerNumbers): void {
    const streams = registry.gauge({
      name: 'podwire_control_streams',
      help: 'Open xDS streams',
      labels: ['protocol'],
    });
    const converged = registry.gauge<never>({
      name: 'podwire_control_streams_converged',
      help: 'Streams that have acknowledged all they asked for',
    });
    const ended = registry.counter({
      name: 'podwire_control_streams_ended_total',
      help: 'Streams that ended, by reason',
      labels: ['reason'],
    });
    const refused = registry.counter({
      name: 'podwire_control_streams_refused_total',
      help: 'Streams that were not admitted, by reason',
      labels: ['reason'],
    });
    const sent = registry.counter({
      name: 'podwire_control_sent_total',
      help: 'Resources and removals sent',
      labels: ['type', 'kind'],
    });
    const nacks = registry.counter({
      name: 'podwire_control_nacks_total',
      help: 'Responses that an agent refused, in whole or in part',
      labels: ['type', 'reason'],
    });
    const flushes = registry.counter({
      name: 'podwire_control_flushes_total',
      help: 'Rounds of pushes: at once after a quiet time, or changes put together',
      labels: ['kind'],
    });
    const plain = {
      inFlight: registry.gauge<never>({
        name: 'podwire_control_push_in_flight_bytes',
        help: 'Large responses that wait for their ACK',
      }),
      waiting: registry.gauge<never>({
        name: 'podwire_control_pushes_waiting',
        help: 'Streams that wait until fewer bytes are in flight',
      }),
      failures: registry.counter<never>({
        name: 'podwire_control_encode_failures_total',
        help: 'Resources that could not be encoded: the last good one stays',
      }),
      changes: registry.counter<never>({
        name: 'podwire_control_changes_total',
        help: 'Changes of resources',
      }),
      stale: registry.counter<never>({
        name: 'podwire_control_stale_nonces_total',
        help: 'Answers to other responses than the last',
      }),
      unknown: registry.counter<never>({
        name: 'podwire_control_unknown_types_total',
        help: 'Requests for types that control does not serve',
      }),
    };
    registry.beforeScrape('xds', () => {
      const now = numbers();
      streams.set(samples('protocol', Object.entries(now.streams)));
      converged.set(one(now.converged));
      ended.set(samples('reason', now.ended));
      refused.set(samples('reason', now.refused));
      const { together, atOnce } = now.flushes;
      flushes.set(
        samples('kind', [
          ['together', together],
          ['at-once', atOnce],
        ]),
      );
      sent.set(
        RESOURCE_ORDER.flatMap((type) =>
          COUNTED.map((kind) => ({
            labels: { type, kind },
            value: this.#sent.get(`${type} ${kind}`) ?? 0,
          })),
        ),
      );
      nacks.set(
        [...this.#nacks].map(([key, value]) => {
          const [type = '', reason = ''] = key.split(' ');
          return { labels: { type, reason }, value };
        }),
      );
      plain.inFlight.set(one(now.pushBytes));
      plain.waiting.set(one(now.pushesWaiting));
      plain.failures.set(one(now.encodeFailures));
      plain.changes.set(one(now.changes));
      plain.stale.set(one(this.#staleNonces));
      plain.unknown.set(one(this.#unknownTypes));
    });
  }
}

/** Of the gRPC port. */
export function registerConnectionMetrics(
  registry: MetricsRegistry,
  numbers: () => ConnectionGate['numbers'],
): void {
  const open = registry.gauge({
    name: 'podwire_control_connections',
    help: 'Open TCP connections, by whether a credential came over them that counts',
    labels: ['credential'],
  });
  const dropped = registry.counter<never>({
    name: 'podwire_control_connections_dropped_total',
    help: 'Connections that were closed because no credential came, or none in time',
  });
  registry.beforeScrape('connections', () => {
    const now = numbers();
    const known = now.connections - now.strangers;
    open.set(
      samples('credential', [
        ['known', known],
        ['none', now.strangers],
      ]),
    );
    dropped.set(one(now.dropped));
  });
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function one(value: number): [{ labels: Record<never, string>; value: number }] {
  return [{ labels: {}, value }];
}

function samples<L extends string>(
  label: L,
  counts: Iterable<readonly [string, number]>,
): { labels: Record<L, string>; value: number }[] {
  return [...counts].map(([name, value]) => ({
    labels: { [label]: name } as Record<L, string>,
    value,
  }));
}
