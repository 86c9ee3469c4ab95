/**
 * The access log: one JSON line per connection, when it ends or is refused.  The keys are ztunnel's, so that what reads
 * its log reads ours; `path` and `not_spliced` are podwire's.
 *
 * `bytes_sent` and `bytes_recv` are the client's view for both directions, as ztunnel writes them.
 */
import type { Log } from '../log.ts';
import type { ClosedFlow, DeniedFlow, FlowInfo, FlowParty } from './flow-info.ts';

/** Reasons with which an established connection was cut: an error, not an explanation. */
const CUT: ReadonlySet<string> = new Set(['revoked', 'stalled-reader']);

export class AccessLog {
  readonly #log: Pick<Log, 'info' | 'warn' | 'error'>;

  constructor({ log }: { log: Log }) {
    this.#log = log.child({ component: 'access' });
  }

  closed(flow: ClosedFlow): void {
    const cut = CUT.has(flow.reason);
    const line = {
      ...ends(flow),
      bytes_sent: flow.bytesSent,
      bytes_recv: flow.bytesReceived,
      duration: `${Math.round(flow.durationMs)}ms`,
      path: flow.path,
      bytes_spliced: flow.redirectedBytes,
      not_spliced: flow.reason === 'none' || cut ? undefined : flow.reason,
      policy: flow.policy || undefined,
      error: cut ? flow.reason : undefined,
    };
    if (cut) this.#log.error(line, 'connection complete');
    else this.#log.info(line, 'connection complete');
  }

  denied(flow: DeniedFlow): void {
    this.#log.warn(
      { ...ends(flow), policy: flow.policy || undefined, error: flow.reason },
      'connection failed',
    );
  }
}

function ends(flow: FlowInfo): Record<string, unknown> {
  const { source, destination, service, dialled } = flow;
  return {
    'src.addr': address(source),
    'src.workload': source.workload?.name,
    'src.namespace': source.workload?.namespace,
    'src.identity': source.identity || undefined,
    'dst.addr': address(destination),
    'dst.dialled_addr': dialled === undefined ? undefined : address(dialled),
    'dst.service': service?.hostname,
    'dst.workload': destination.workload?.name,
    'dst.namespace': destination.workload?.namespace,
    'dst.identity': destination.identity || undefined,
    direction: flow.reporters.includes('source') ? 'outbound' : 'inbound',
  };
}

function address({ address: ip, port }: Pick<FlowParty, 'address' | 'port'>): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
