/**
 * DNS as a Source: SRV records → Services and their EndpointSlices.  Every record is an origin, `dns/<name>`.
 *
 * Each is asked for again when its answer has lived its time.  While no server can say, what was known stays.
 */
import { ALL_ENDPOINTS } from '../../../model/service.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../../lifecycle/backoff.ts';
import type { Finding } from '../../../model/finding.ts';
import type {
  EndpointSliceResource,
  Resource,
  ResourceMeta,
  ServiceResource,
} from '../../../model/resource.ts';
import { equal } from '../../../model/equal.ts';
import type { OriginContent, Source, SourceSink } from '../source.ts';
import { resourceId } from '../../validate/metadata.ts';
import { SrvLookup, type DnsEndpoint, type Lookup } from './endpoints.ts';
import type { DnsRecord } from './record.ts';
import { DnsError, type DnsResolver } from './resolver.ts';

export interface DnsTiming {
  /** bounds of how long an answer is used, whatever its TTL says */
  readonly leastMs: number;
  readonly mostMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

const TIMING: DnsTiming = {
  leastMs: 5000,
  mostMs: 300_000,
  retryFirstMs: 1000,
  retryMaxMs: 30_000,
};

export class DnsSource implements Source {
  readonly name = 'dns';
  readonly #records: readonly DnsRecord[];
  readonly #resolver: DnsResolver;
  readonly #timing: DnsTiming;
  readonly #stop = new AbortController();
  readonly #failing = new Map<string, string>();
  readonly #told = new Map<string, OriginContent>();
  #first: Map<string, OriginContent> | undefined = new Map();
  #running: readonly Promise<void>[] = [];
  #sink: SourceSink | undefined;

  constructor(
    records: readonly DnsRecord[],
    resolver: DnsResolver,
    timing: Partial<DnsTiming> = {},
  ) {
    this.#records = records;
    this.#resolver = resolver;
    this.#timing = { ...TIMING, ...timing };
  }

  async start(sink: SourceSink): Promise<void> {
    this.#sink = sink;
    const asked = this.#records.map(
      (record) =>
        new Promise<void>((resolve) => {
          this.#running = [...this.#running, this.#follow(record, resolve)];
        }),
    );
    await Promise.all(asked);
    const first = this.#first ?? new Map<string, OriginContent>();
    this.#first = undefined;
    if (this.#stop.signal.aborted) return;
    sink.apply(first);
    this.#tellHealth();
  }

  async close(): Promise<void> {
    this.#sink = undefined;
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  /** `asked` is called after the first answer, or the lack of one. */
  async #follow(record: DnsRecord, asked: () => void): Promise<void> {
    const { signal } = this.#stop;
    const { leastMs, mostMs, retryFirstMs, retryMaxMs } = this.#timing;
    const backoff = new Backoff({ firstMs: retryFirstMs, maxMs: retryMaxMs });
    const lookup = new SrvLookup(record.name, this.#resolver);
    while (!signal.aborted) {
      let wait: number;
      try {
        const found = await lookup.run(signal);
        backoff.reset();
        wait = Math.min(mostMs, Math.max(leastMs, found.ttlSeconds * 1000));
        this.#tell(record, found);
        this.#setFailing(record.name, undefined);
      } catch (error) {
        if (signal.aborted) break;
        wait = backoff.nextMs();
        const reason = error instanceof DnsError ? error.message : String(error);
        this.#setFailing(record.name, reason);
      }
      asked();
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
    asked();
  }

  #tell(record: DnsRecord, found: Lookup): void {
    const origin = originOf(record);
    const content: OriginContent = {
      resources: resourcesOf(record, found.endpoints),
      findings: found.problems.map((message) => invalid(record, message)),
    };
    if (equal(this.#told.get(origin), content)) return;
    this.#told.set(origin, content);
    if (this.#first !== undefined) this.#first.set(origin, content);
    else this.#sink?.apply(new Map([[origin, content]]));
  }

  #setFailing(name: string, reason: string | undefined): void {
    if (reason === undefined) this.#failing.delete(name);
    else this.#failing.set(name, reason);
    if (this.#first === undefined) this.#tellHealth();
  }

  #tellHealth(): void {
    const [failing] = [...this.#failing].sort(([a], [b]) => (a < b ? -1 : 1));
    if (failing === undefined) {
      this.#sink?.unavailable(undefined);
      return;
    }
    const [name, reason] = failing;
    const others = this.#failing.size > 1 ? ` and ${this.#failing.size - 1} more` : '';
    this.#sink?.unavailable({
      code: 'DNS_UNAVAILABLE',
      severity: 'error',
      file: this.name,
      resource: '',
      path: '',
      message: `${name}${others} cannot be resolved (${reason}); the last answer stays in force`,
      fix: 'see whether the DNS servers answer',
    });
  }
}

function originOf({ name }: DnsRecord): string {
  return `dns/${name}`;
}

/** One slice per port; none when the record has no endpoint, so that a selector elsewhere is in force. */
function resourcesOf(record: DnsRecord, endpoints: readonly DnsEndpoint[]): Resource[] {
  const resources: Resource[] = [];
  if (record.defines !== undefined) resources.push(serviceOf(record, record.defines));
  for (const port of [...new Set(endpoints.map((endpoint) => endpoint.port))].sort(
    (a, b) => a - b,
  )) {
    const slice: EndpointSliceResource = {
      ...metaOf(record, 'EndpointSlice', `${record.service}-srv-${port}`),
      kind: 'EndpointSlice',
      service: record.service,
      ports: [{ name: record.portName, port }],
      endpoints: endpoints
        .filter((endpoint) => endpoint.port === port)
        .map(({ address, weight }) => ({
          addresses: [address],
          ready: true,
          pod: undefined,
          node: '',
          zone: '',
          weight,
        })),
    };
    resources.push(slice);
  }
  return resources;
}

function serviceOf(
  record: DnsRecord,
  { port, addresses }: NonNullable<DnsRecord['defines']>,
): ServiceResource {
  return {
    ...metaOf(record, 'Service', record.service),
    kind: 'Service',
    addresses,
    ports: [{ name: record.portName, port, targetPort: port }],
    selector: undefined,
    publishNotReady: false,
    localityPreference: ALL_ENDPOINTS,
    lbPolicy: 'round-robin',
    sessionAffinitySeconds: 0,
    maxConnections: 0,
  };
}

function metaOf(record: DnsRecord, kind: string, name: string): ResourceMeta {
  const { namespace } = record;
  const id = resourceId(kind, namespace, name);
  return { id, file: originOf(record), namespace, name, labels: new Map() };
}

function invalid(record: DnsRecord, message: string): Finding {
  return {
    code: 'DNS_INVALID',
    severity: 'warning',
    file: originOf(record),
    resource: resourceId('Service', record.namespace, record.service),
    path: '',
    message,
    fix: 'correct it in the DNS zone',
  };
}
