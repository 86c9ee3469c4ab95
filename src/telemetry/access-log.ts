/**
 * The access log: one JSON line per connection, when it ends or is refused.  The keys are ztunnel's, so that what reads
 * its log reads ours; `path` and `not_spliced` are podwire's.
 *
 * `bytes_sent` and `bytes_recv` are the client's view for both directions, as ztunnel writes them.
 *
 * A node may close tens of thousands of connections a second.  What the lines of one kind of connection share is escaped
 * once, the lines of a batch are written in one piece: flush() ends every batch, so
 * nothing is left to lose when the process stops.
 */
import { LineWriter, type Log } from '../log.ts';
import type { ClosedNumbers, FlowEnd, FlowKind, FlowNumbers, FlowParty } from './flow-info.ts';

/** Reasons with which an established connection was cut: an error, not an explanation. */
const CUT: ReadonlySet<string> = new Set(['revoked', 'stalled-reader']);

/** A pipe takes this much at a time. */
const FLUSH_LENGTH = 65_536;

type Level = 'info' | 'warn' | 'error';

/** A line of one kind of connection: all but what begins every line, and its numbers. */
export interface AccessLine {
  readonly level: Level;
  /** up to the client's port */
  readonly address: string;
  /** from there up to bytes_sent; of a refused one to the end */
  readonly ends: string;
  /** between duration and bytes_spliced */
  readonly path: string;
  readonly tail: string;
}

export class AccessLog {
  readonly #writer: LineWriter;
  readonly #heads = new Map<Level, string>();
  #headsMs = 0;
  #lines = '';

  constructor({ log }: { log: Log }) {
    this.#writer = new LineWriter(log.child({ component: 'access' }));
  }

  closed(line: AccessLine, flow: ClosedNumbers): void {
    if (!this.#writer.enabled(line.level)) return;
    this.#add(
      `${this.#head(line.level)}${line.address}${flow.sourcePort}${line.ends}${flow.bytesSent}` +
        `,"bytes_recv":${flow.bytesReceived},"duration":"${Math.round(flow.durationMs)}ms"` +
        `${line.path}${flow.redirectedBytes}${line.tail}`,
    );
  }

  denied(line: AccessLine, { sourcePort }: Pick<FlowNumbers, 'sourcePort'>): void {
    if (!this.#writer.enabled(line.level)) return;
    this.#add(`${this.#head(line.level)}${line.address}${sourcePort}${line.ends}${line.tail}`);
  }

  flush(): void {
    const lines = this.#lines;
    this.#lines = '';
    if (lines) this.#writer.write(lines);
  }

  #add(line: string): void {
    this.#lines += line;
    if (this.#lines.length >= FLUSH_LENGTH) this.flush();
  }

  #head(level: Level): string {
    const nowMs = Date.now();
    if (nowMs !== this.#headsMs) {
      this.#heads.clear();
      this.#headsMs = nowMs;
    }
    let head = this.#heads.get(level);
    if (head === undefined) {
      head = this.#writer.head(level);
      this.#heads.set(level, head);
    }
    return head;
  }
}

export function closedLine(kind: FlowKind): AccessLine {
  const cut = CUT.has(kind.reason);
  return {
    ...beginning(kind, cut ? 'error' : 'info'),
    ends: `${endsOf(kind)},"bytes_sent":`,
    path: `${members({ path: kind.path })},"bytes_spliced":`,
    tail: end({
      not_spliced: kind.reason === 'none' || cut ? undefined : kind.reason,
      ...ruleOf(kind),
      error: cut ? kind.reason : undefined,
      msg: 'connection complete',
    }),
  };
}

export function deniedLine(kind: FlowKind): AccessLine {
  return {
    ...beginning(kind, 'warn'),
    ends: endsOf(kind),
    path: '',
    tail: end({
      ...ruleOf(kind),
      error: kind.reason,
      msg: 'connection failed',
    }),
  };
}

/** The policy and rule that decided, and what dry-run policies would have done. */
function ruleOf({ policy, rule, dryRun }: FlowKind): Record<string, string | undefined> {
  return {
    policy: policy || undefined,
    rule: rule || undefined,
    dry_run: dryRun && (dryRun.allowed ? 'allow' : 'deny'),
    dry_run_policy: dryRun?.policy || undefined,
    dry_run_rule: dryRun?.rule || undefined,
  };
}

function beginning({ source }: FlowKind, level: Level): Pick<AccessLine, 'level' | 'address'> {
  return { level, address: `,"src.addr":"${host(source)}:` };
}

/** Closes the value of src.addr first. */
function endsOf({ source, destination, service, dialled, reporters }: FlowKind): string {
  const known = members({
    'src.workload': source.workload?.name,
    'src.namespace': source.workload?.namespace,
    'src.identity': source.identity || undefined,
    'dst.addr': address(destination),
    'dst.dialled_addr': dialled === undefined ? undefined : address(dialled),
    'dst.service': service?.hostname,
    'dst.workload': destination.workload?.name,
    'dst.namespace': destination.workload?.namespace,
    'dst.identity': destination.identity || undefined,
    direction: reporters.includes('source') ? 'outbound' : 'inbound',
  });
  return `"${known}`;
}

function address(party: Pick<FlowParty, 'address' | 'port'>): string {
  return `${host(party)}:${party.port}`;
}

/** IP addresses need no escapes. */
function host({ address: ip }: Pick<FlowEnd, 'address'>): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}

/** `,"key":"value"` for each that has one */
function members(values: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`)
    .join('');
}

function end(values: Readonly<Record<string, string | undefined>>): string {
  return `${members(values)}}\n`;
}
