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
import type { LiveViews } from '../kernel/live-views.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Cuts } from './cuts.ts';
import { carriesTunnels, ruleName } from './flows.ts';
import type { Killer } from './learn/killer.ts';
import type { PodVerdicts } from './pod-verdicts.ts';
import type { ProvenIdentities } from './proven-identities.ts';
import { ViewKinds } from './view-kinds.ts';

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
    const { connections, reconciler, log } = this.#options;
    const started = performance.now();
    const pods = new Map(reconciler.captured().map((pod) => [pod.id, pod]));
    const denied = this.#denied(connections.live(), pods);
    if (denied.length === 0) return 0;
    this.#end(denied, pods);
    const ms = Math.round((performance.now() - started) * 10) / 10;
    log.info({ connections: denied.length, ms }, 'connections ended: policy no longer allows them');
    return denied.length;
  }

  /** Of those that policy no longer allows the ends on this node; noted why. */
  #denied(live: LiveViews, pods: ReadonlyMap<number, CapturedPod>): End[][] {
    const partners = live.partners();
    /** thousands of connections between two pods get one answer */
    const known = new ViewKinds(live, (view) => this.#decision(view, pods));
    const denied: End[][] = [];
    for (let index = 0; index < live.count; index++) {
      const partner = partners[index]!;
      if (live.flags(index) & ConnFlags.CLIENT && partner >= 0) continue; /* its server decides */
      const decision = known.of(index);
      if (!decision || decision.allowed) continue;
      const places = partner < 0 ? [index] : [index, partner];
      const ends = places.map((place) => endAt(live, place));
      const cookies = ends.map(({ cookie }) => cookie);
      this.#options.cuts.add(cookies, { reason: 'revoked', ...ruleName(decision) });
      denied.push(ends);
    }
    return denied;
  }

  /**
   * A search for sockets goes through those of the whole node, once per namespace, and the end of one end resets the other:
   * so first one end of each, in few namespaces, then what is left (a reset can be lost, or late).
   */
  #end(denied: readonly End[][], pods: ReadonlyMap<number, CapturedPod>): void {
    const { connections, killer } = this.#options;
    const paths = new Map(
      [...pods.values()].map(({ netnsCookie, entry }) => [netnsCookie, entry.netnsPath]),
    );
    const kill = (ends: readonly End[]): void => {
      const namespaces = new Set(ends.map(({ netns }) => netns));
      killer.killSockets({
        cookies: ends.map(({ cookie }) => cookie),
        netnsPaths: [...namespaces].map((netns) => paths.get(netns)!),
      });
    };
    const reachable = denied.map((ends) => ends.filter(({ netns }) => paths.has(netns)));
    kill(oneOfEach(reachable));
    const now = connections.live();
    const left = now.indexesOf(new Set(reachable.flat().map(({ cookie }) => cookie)));
    if (left.length > 0) kill(left.map((index) => endAt(now, index)));
  }

  /** undefined: nothing here decides about it */
  #decision(view: ConnView, pods: ReadonlyMap<number, CapturedPod>): Decision | undefined {
    if (isOthers(view)) return undefined;
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

/** An end of a connection, by its socket and where that is. */
interface End {
  readonly cookie: bigint;
  readonly netns: bigint;
}

function endAt(live: LiveViews, index: number): End {
  return { cookie: live.cookie(index), netns: live.netns(index) };
}

/** Of each connection the end whose namespace has the most of all. */
function oneOfEach(connections: readonly (readonly End[])[]): End[] {
  const counts = new Map<bigint, number>();
  for (const { netns } of connections.flat()) counts.set(netns, (counts.get(netns) ?? 0) + 1);
  const byCount = [...counts].sort(([, a], [, b]) => b - a);
  const rank = new Map(byCount.map(([netns], place) => [netns, place]));
  const rankOf = ({ netns }: End): number => rank.get(netns)!;
  return connections.flatMap(([end, other]) => {
    if (end === undefined) return [];
    return other !== undefined && rankOf(other) < rankOf(end) ? other : end;
  });
}

/** Nothing here decides about it. */
function isOthers(view: ConnView): boolean {
  const { key, flags, destinationPod } = view;
  if (key.netns !== 0n) return true; /* within a pod */
  if (destinationPod === 0) return true; /* leaves the node: its other end decides */
  if (carriesTunnels(view)) return true; /* what it carries is judged by itself */
  /* the first leg is what policy speaks about, unless it is on another node */
  return (flags & ConnFlags.SECOND_LEG) !== 0 && !isTunnelledIn(view);
}

/** The end that is the application's, of a connection whose first leg is on another node. */
function isTunnelledIn({ flags, clientPort }: ConnView): boolean {
  return (
    (flags & (ConnFlags.TUNNELLED | ConnFlags.CLIENT)) === ConnFlags.TUNNELLED && clientPort > 0
  );
}
