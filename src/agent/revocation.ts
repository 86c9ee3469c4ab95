/**
 * Ends live connections that policy no longer allows: every generation's sockets are evaluated by the one evaluator, and both
 * ends of a denied connection are destroyed. The kernel's verdict does the same for spliced messages in the meantime (epoch).
 */
import { policiesOf } from '../compile/kernel/policy/cache.ts';
import { evaluate } from '../compile/kernel/policy/evaluate.ts';
import type { PlanState } from '../compile/kernel/plan.ts';
import { parseIp, type Ip } from '../model/ip.ts';
import type { Log } from '../log.ts';
import { addrToText, isZeroAddr } from '../kernel/abi/address.ts';
import { ConnFlags, type ConnView } from '../kernel/abi/layout.gen.ts';
import type { Connection, Connections } from '../kernel/connections.ts';
import type { CapturedPod } from '../kernel/pod-table.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { Cuts } from './cuts.ts';
import { carriesTunnels } from './flows.ts';
import type { Killer } from './learn/killer.ts';
import type { ProvenIdentities } from './proven-identities.ts';

export interface RevocationOptions {
  readonly connections: Connections;
  readonly reconciler: Reconciler;
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
    const pods = new Map(reconciler.captured().map((pod) => [pod.id, pod]));
    const cookies: bigint[] = [];
    const namespaces = new Set<string>();
    let denied = 0;
    for (const connection of connections.list()) {
      if (this.#allowed(connection, pods)) continue;
      denied++;
      const ends = [connection.client, connection.server].filter((view) => view !== undefined);
      cuts.add(
        ends.map(({ cookie }) => cookie),
        'revoked',
      );
      for (const view of ends) {
        cookies.push(view.cookie);
        for (const pod of pods.values())
          if (pod.netnsCookie === view.netns) namespaces.add(pod.entry.netnsPath);
      }
    }
    if (cookies.length === 0) return 0;
    killer.killSockets({ cookies, netnsPaths: [...namespaces] });
    log.info({ connections: denied }, 'connections ended: policy no longer allows them');
    return denied;
  }

  #allowed(connection: Connection, pods: ReadonlyMap<number, CapturedPod>): boolean {
    const view = connection.server ?? connection.client;
    if (!view || view.key.netns !== 0n) return true; /* within a pod */
    if (view.destinationPod === 0) return true; /* leaves the node: its other end decides */
    const pod = pods.get(view.destinationPod);
    if (!pod) return true; /* the pod is gone, and its sockets with it */
    const { source, destination, port } = tupleOf(view);
    if (source === undefined || destination === undefined) return true;
    const { snapshot } = this.#options.state();
    const workload = snapshot.workloads.get(pod.entry.uid);
    if (!workload) return true;
    if (isAgentLeg(view, pod) || carriesTunnels(view)) return true;
    return evaluate(policiesOf(snapshot, workload), {
      sourceIdentity: this.#options.identities.name(view.sourceIdentity),
      sourceAddr: source,
      destAddr: destination,
      destPort: port,
    }).allowed;
  }
}

/** The agent's second leg inside the pod: its first one is what policy speaks about. */
function isAgentLeg(view: ConnView, pod: CapturedPod): boolean {
  return (view.flags & ConnFlags.CLIENT) !== 0 && view.netns === pod.netnsCookie;
}

function tupleOf(view: ConnView): {
  source: Ip | undefined;
  destination: Ip | undefined;
  port: number;
} {
  const client = (view.flags & ConnFlags.CLIENT) !== 0;
  const { local, remote, localPort, remotePort } = view.key;
  const [from, to] = client ? [local, remote] : [remote, local];
  /* behind the agent: not the agent's own address */
  const spokenFor = !client && view.clientPort !== 0 && !isZeroAddr(view.client);
  return {
    source: parseIp(addrToText(spokenFor ? view.client : from)),
    destination: parseIp(addrToText(to)),
    port: client ? remotePort : localPort,
  };
}
