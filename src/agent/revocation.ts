/**
 * Ends live connections that policy no longer allows: every generation's sockets are evaluated by the one evaluator, and both
 * ends of a denied connection are destroyed. The kernel's verdict does the same for spliced messages in the meantime (epoch).
 *
 * A connection is what its client's pod is now: one that gets another identity loses what only the old one was allowed.
 */
import type { PlanState } from '../compile/kernel/plan.ts';
import type { Connection as Flow, Decision } from '../compile/kernel/policy/evaluate.ts';
import { parseIp } from '../model/ip.ts';
import type { Log } from '../log.ts';
import { addrToText } from '../kernel/abi/address.ts';
import { ConnFlags, type ConnView } from '../kernel/abi/layout.gen.ts';
import type { Connections } from '../kernel/connections.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Cuts } from './cuts.ts';
import { carriesTunnels, ruleName } from './flows.ts';
import type { Killer } from './learn/killer.ts';
import type { PodVerdicts } from './pod-verdicts.ts';
import type { ProvenIdentities } from './proven-identities.ts';

export interface RevocationOptions {
  readonly connections: Connections;
  readonly reconciler: Reconciler;
  readonly verdicts: PodVerdicts;
  readonly killer: Killer;
  readonly cuts: Cuts;
  readonly state: () => PlanState;
  readonly identities: ProvenIdentities;
  readonly log: Log;
}

export class Revocation {
  readonly #options: RevocationOptions;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  /** Looks at all live connections after this turn; several changes of one turn are one look. */
  schedule(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined;
      try {
        this.run();
      } catch (err) {
        this.#options.log.error(
          { err },
          'live connections could not be checked against the new policy',
        );
      }
    });
  }

  close(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
  }

  /** Returns how many connections were ended. */
  run(): number {
    const { connections, reconciler, killer, cuts, log } = this.#options;
    const started = performance.now();
    const pods = new Map(reconciler.captured().map((pod) => [pod.id, pod]));
    const paths = new Map(
      [...pods.values()].map(({ netnsCookie, entry }) => [netnsCookie, entry.netnsPath]),
    );
    const cookies: bigint[] = [];
    const namespaces = new Set<string>();
    /** thousands of connections between two pods get one answer */
    const known = new Map<string, Decision | undefined>();
    let denied = 0;
    for (const connection of connections.list()) {
      const view = connection.server ?? connection.client;
      const kind = view && kindOf(view);
      if (kind === undefined) continue;
      if (!known.has(kind)) known.set(kind, this.#decision(view!, pods));
      const decision = known.get(kind);
      if (!decision || decision.allowed) continue;
      denied++;
      const ends = [connection.client, connection.server].filter((view) => view !== undefined);
      cuts.add(
        ends.map(({ cookie }) => cookie),
        { reason: 'revoked', ...ruleName(decision) },
      );
      for (const { cookie, netns } of ends) {
        cookies.push(cookie);
        const path = paths.get(netns);
        if (path !== undefined) namespaces.add(path);
      }
    }
    if (cookies.length === 0) return 0;
    killer.killSockets({ cookies, netnsPaths: [...namespaces] });
    const ms = Math.round((performance.now() - started) * 10) / 10;
    log.info({ connections: denied, ms }, 'connections ended: policy no longer allows them');
    return denied;
  }

  /** undefined: nothing here decides about it */
  #decision(view: ConnView, pods: ReadonlyMap<number, CapturedPod>): Decision | undefined {
    const pod = pods.get(view.destinationPod);
    if (!pod) return undefined; /* the pod is gone, and its sockets with it */
    const flow = this.#flowOf(view, pods.get(view.sourcePod));
    if (!flow) return undefined;
    const fromNode = (view.flags & ConnFlags.NODE) !== 0;
    if (fromNode && pod.entry.probePorts.includes(flow.destPort)) return undefined;
    return this.#options.verdicts.enforced(pod.entry.uid, flow);
  }

  #flowOf(view: ConnView, source: CapturedPod | undefined): Flow | undefined {
    const client = (view.flags & ConnFlags.CLIENT) !== 0;
    const { local, remote, localPort, remotePort } = view.key;
    const [from, to] = client ? [local, remote] : [remote, local];
    /* of what came over HBONE: not the agent's own address */
    const tunnelled = isTunnelledIn(view);
    const sourceAddr = parseIp(addrToText(tunnelled ? view.client : from));
    const destAddr = parseIp(addrToText(to));
    if (!sourceAddr || !destAddr) return undefined;
    const proven = this.#options.identities.name(view.sourceIdentity);
    const sourceIdentity = tunnelled ? proven : (source?.entry.spiffe ?? proven);
    return { sourceIdentity, sourceAddr, destAddr, destPort: client ? remotePort : localPort };
  }
}

/** All that a decision depends on; undefined: nothing here decides about it. */
function kindOf(view: ConnView): string | undefined {
  const { key, flags, sourcePod, destinationPod, sourceIdentity } = view;
  if (key.netns !== 0n) return undefined; /* within a pod */
  if (destinationPod === 0) return undefined; /* leaves the node: its other end decides */
  if (carriesTunnels(view)) return undefined; /* what it carries is judged by itself */
  /* the first leg is what policy speaks about, unless it is on another node */
  if (flags & ConnFlags.SECOND_LEG && !isTunnelledIn(view)) return undefined;
  const port = flags & ConnFlags.CLIENT ? key.remotePort : key.localPort;
  const kind = flags & (ConnFlags.CLIENT | ConnFlags.NODE | ConnFlags.TUNNELLED);
  const numbers = [kind, sourcePod, destinationPod, sourceIdentity, port].join(' ');
  return `${numbers} ${bytesText(key.local)}${bytesText(key.remote)}${bytesText(view.client)}`;
}

/** The end that is the application's, of a connection whose first leg is on another node. */
function isTunnelledIn({ flags, clientPort }: ConnView): boolean {
  return (
    (flags & (ConnFlags.TUNNELLED | ConnFlags.CLIENT)) === ConnFlags.TUNNELLED && clientPort > 0
  );
}

function bytesText({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
