/**
 * Istio's istio_tcp_* series.
 *
 * The kernel reports a connection when it ends; one that is open is found by asking for the live ones, at scrape.  So a
 * connection counts as opened when it is first seen, either way, and each pull adds the bytes that are new since the last.
 * Names of directions are Istio's: received is client → server (the request), sent is server → client (the response),
 * whoever reports.
 */
import type { FlowInfo, FlowKind, FlowNumbers, LiveFlow } from './flow-info.ts';
import type { MetricFamily, MetricsRegistry, Sample } from './registry.ts';
import {
  labelKey,
  TCP_LABELS,
  tcpLabels,
  type ResponseFlags,
  type TcpLabel,
  type TcpLabels,
} from './tcp-labels.ts';

export interface ConnectionMetricsOptions {
  readonly registry: MetricsRegistry;
  /** The connections that are open now; events that wait to be read must have been delivered before it returns. */
  readonly live: () => Iterable<LiveFlow>;
}

/** Everything counted under one set of labels. */
export class LabelSet {
  readonly labels: TcpLabels;
  opened = 0;
  closed = 0;
  sent = 0;
  received = 0;

  constructor(labels: TcpLabels) {
    this.labels = labels;
  }
}

interface Known {
  readonly sets: readonly LabelSet[];
  requestBytes: number;
  responseBytes: number;
  /** pulls in a row that did not show it */
  missed: number;
}

/** By reason; all others are DENY. */
const REFUSED_FLAGS: Readonly<Partial<Record<string, ResponseFlags>>> = {
  'no-endpoint': 'CONNECT',
  'connection-limit': 'UO',
};

/** An end whose socket lingers after its event would be taken for a new connection: closed ids are kept until it is gone. */
const MAX_CLOSED_IDS = 65_536;

type Field = 'opened' | 'closed' | 'sent' | 'received';

export class ConnectionMetrics {
  readonly #live: () => Iterable<LiveFlow>;
  readonly #sets = new Map<string, LabelSet>();
  readonly #known = new Map<number, Known>();
  readonly #families: readonly (readonly [Field, MetricFamily<TcpLabel>])[];
  #closedIds = new Set<number>();
  #pulling = false;

  constructor({ registry, live }: ConnectionMetricsOptions) {
    this.#live = live;
    const family = (name: string, help: string): MetricFamily<TcpLabel> =>
      registry.counter({ name, help, labels: TCP_LABELS });
    this.#families = [
      ['opened', family('istio_tcp_connections_opened_total', 'TCP connections opened')],
      ['closed', family('istio_tcp_connections_closed_total', 'TCP connections closed')],
      [
        'sent',
        family('istio_tcp_sent_bytes_total', 'Bytes sent during response (server to client)'),
      ],
      [
        'received',
        family(
          'istio_tcp_received_bytes_total',
          'Bytes received during request (client to server)',
        ),
      ],
    ];
    registry.beforeScrape('connections', () => {
      this.#pull();
      for (const [field, metric] of this.#families) metric.set(this.#samples(field));
    });
  }

  /** For connections whose opening is told; the others are counted when they are first seen. */
  connectionOpened(flow: FlowInfo & Pick<FlowNumbers, 'id'>): void {
    if (!this.#known.has(flow.id) && !this.#closedIds.has(flow.id)) this.#open(flow);
  }

  /** What the connections of this kind are counted under. */
  closedSets(kind: FlowKind): readonly LabelSet[] {
    return this.#setsOf(kind, '-');
  }

  deniedSets(kind: FlowKind): readonly LabelSet[] {
    return this.#setsOf(kind, REFUSED_FLAGS[kind.reason] ?? 'DENY');
  }

  connectionClosed(sets: readonly LabelSet[], flow: FlowNumbers): void {
    const { id } = flow;
    if (this.#closedIds.has(id)) return;
    const known = this.#known.size > 0 ? this.#known.get(id) : undefined;
    if (known) {
      addBytes(known, flow);
      this.#close(id, known);
      return;
    }
    for (const set of sets) {
      set.opened++;
      set.closed++;
      set.received += flow.bytesSent;
      set.sent += flow.bytesReceived;
    }
    this.#closedIds.add(id);
  }

  /** Refused before it was established: opened and closed at once, as Istio's proxies count it. */
  connectionDenied(sets: readonly LabelSet[]): void {
    for (const set of sets) {
      set.opened++;
      set.closed++;
    }
  }

  /** After a batch of events. Nobody scrapes: the ids whose sockets are gone are forgotten. */
  delivered(): void {
    if (this.#closedIds.size > MAX_CLOSED_IDS && !this.#pulling) this.#pull();
  }

  /** Asking for the live ones may deliver events, which call back into this object. */
  #pull(): void {
    this.#pulling = true;
    try {
      this.#compare(this.#live());
    } finally {
      this.#pulling = false;
    }
  }

  #compare(live: Iterable<LiveFlow>): void {
    const lingering = new Set<number>();
    const seen = new Set<number>();
    for (const flow of live) {
      if (this.#closedIds.has(flow.id)) {
        lingering.add(flow.id);
        continue;
      }
      seen.add(flow.id);
      const known = this.#known.get(flow.id) ?? this.#open(flow);
      known.missed = 0;
      addBytes(known, flow);
    }
    this.#closedIds = lingering;
    for (const [id, known] of this.#known) {
      // its event may still be on the way; after a second pull it was lost
      if (!seen.has(id) && ++known.missed === 2) this.#close(id, known);
    }
  }

  #open(flow: FlowInfo & Pick<FlowNumbers, 'id'>): Known {
    const sets = this.#setsOf(flow, '-');
    for (const set of sets) set.opened++;
    const known = { sets, requestBytes: 0, responseBytes: 0, missed: 0 };
    this.#known.set(flow.id, known);
    return known;
  }

  #close(id: number, known: Known): void {
    for (const set of known.sets) set.closed++;
    this.#known.delete(id);
    this.#closedIds.add(id);
  }

  #setsOf(flow: FlowInfo, flags: ResponseFlags): LabelSet[] {
    return flow.reporters.map((reporter) => {
      const key = labelKey(flow, reporter, flags);
      let set = this.#sets.get(key);
      if (set === undefined) {
        set = new LabelSet(tcpLabels(flow, reporter, flags));
        this.#sets.set(key, set);
      }
      return set;
    });
  }

  *#samples(field: Field): IterableIterator<Sample<TcpLabel>> {
    for (const set of this.#sets.values()) yield { labels: set.labels, value: set[field] };
  }
}

/** Only what is new, and never less than before: a live view may be older than the last one. */
function addBytes(known: Known, flow: FlowNumbers): void {
  const request = Math.max(0, flow.bytesSent - known.requestBytes);
  const response = Math.max(0, flow.bytesReceived - known.responseBytes);
  known.requestBytes += request;
  known.responseBytes += response;
  for (const set of known.sets) {
    set.received += request;
    set.sent += response;
  }
}
