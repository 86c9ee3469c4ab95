/** Kernel events and live connections → what telemetry says about them: numbers become workloads, identities, services. */
import { keyOf } from '../compile/kernel/number-table.ts';
import type { PlanState } from '../compile/kernel/plan.ts';
import { parseRuleKey } from '../compile/kernel/policy/policy-table.ts';
import type { Decision } from '../compile/kernel/policy/evaluate.ts';
import { ipFamily, parseIp } from '../model/ip.ts';
import { serviceKey, type Service } from '../model/service.ts';
import type { Workload } from '../model/workload.ts';
import { addrFromText, addrToText, isZeroAddr } from '../kernel/abi/address.ts';
import {
  AgentPort,
  ConnFlags,
  type ConnView,
  EventType,
  FlowPath,
  flowPathNames,
  Reason,
  reasonNames,
  type FlowEvent,
} from '../kernel/abi/layout.gen.ts';
import type { Connection } from '../kernel/connections.ts';
import type { Reconciler } from '../kernel/reconciler.ts';
import type { ProvenIdentities } from './proven-identities.ts';
import type {
  FlowEnd,
  FlowInfo,
  FlowKind,
  FlowPathName,
  DryRunVerdict,
  LiveFlow,
  Reporter,
  RuleName,
} from '../telemetry/flow-info.ts';
import type { Cut } from './cuts.ts';
import type { ProxyDenial } from './data-plane/messages.ts';
import type { PodVerdicts } from './pod-verdicts.ts';

const ENDS_CLIENT = 1;
const ENDS_SERVER = 2;
const NO_ALLOW = 'no ALLOW matched';

interface Numbers {
  readonly sourcePod: number;
  readonly destinationPod: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly service: number;
}

interface Tuple {
  readonly source: { readonly addr: Uint8Array; readonly port: number };
  readonly destination: { readonly addr: Uint8Array; readonly port: number };
  readonly dialled: { readonly addr: Uint8Array; readonly port: number };
}

export class Flows {
  readonly #reconciler: Reconciler;
  readonly #state: () => PlanState;
  readonly #verdicts: PodVerdicts;
  readonly #identities: ProvenIdentities;

  constructor(options: {
    reconciler: Reconciler;
    state: () => PlanState;
    verdicts: PodVerdicts;
    identities: ProvenIdentities;
  }) {
    this.#reconciler = options.reconciler;
    this.#verdicts = options.verdicts;
    this.#state = options.state;
    this.#identities = options.identities;
  }

  /** `cut`: why the agent ended it */
  kind(event: FlowEvent, cut?: Cut): FlowKind {
    const denied = event.type === EventType.DENIED;
    const deniedAt = event.destinationPod ? ENDS_SERVER : ENDS_CLIENT;
    const { reason } = event;
    return {
      ...this.#info(event, tupleOf(event), denied ? deniedAt : event.ends),
      mutualTls: event.path === FlowPath.HBONE,
      path: (flowPathNames[event.path] ?? 'plain') as FlowPathName,
      dryRun: this.#dryRun(event, event.key),
      reason: denied || explains(event) ? (reasonNames[reason] ?? 'none') : 'none',
      ...this.#rule(event.policy, reason === Reason.POLICY || reason === Reason.REVOKED),
      ...cut,
    };
  }

  /** A connection that had reached a listener of the agent, and that policy did not let in. */
  refused(denial: ProxyDenial): FlowKind {
    const { podId, peer, target, sourcePod, sourceIdentity, tunnelled, policy, rule } = denial;
    const numbers = {
      ...{ sourcePod, sourceIdentity, destinationPod: podId, service: 0 },
      destinationIdentity: this.#reconciler.identityOf(podId),
    };
    const source = { addr: addrFromText(peer.address), port: peer.port };
    const destination = { addr: addrFromText(target.address), port: target.port };
    const key = { local: source.addr, remote: destination.addr, remotePort: destination.port };
    return {
      ...this.#info(numbers, { source, destination, dialled: destination }, ENDS_SERVER),
      mutualTls: tunnelled,
      path: tunnelled ? 'hbone' : 'proxied',
      reason: reasonNames[Reason.POLICY] ?? '',
      policy: policy ?? '',
      rule: rule === undefined ? NO_ALLOW : String(rule),
      dryRun: this.#dryRun(numbers, key),
    };
  }

  live(connections: readonly Connection[]): LiveFlow[] {
    return connections.flatMap((connection): LiveFlow[] => {
      const { client, server } = connection;
      const view = client ?? server;
      if (!view || isAgents(connection)) return [];
      if (server && client && client.flags & ConnFlags.AGENT) return [this.#tunnelledIn(server)];
      const { key } = view;
      const [local, remote] = [
        { addr: key.local, port: key.localPort },
        { addr: key.remote, port: key.remotePort },
      ];
      const ends = (client ? ENDS_CLIENT : 0) | (server ? ENDS_SERVER : 0);
      const tuple: Tuple = {
        source: client ? local : remote,
        destination: client ? this.#target(client, remote) : local,
        dialled: { addr: view.dialled, port: view.dialledPort },
      };
      return [
        {
          ...this.#info(view, tuple, ends),
          mutualTls: (view.flags & ConnFlags.TUNNELLED) !== 0,
          id: Number(client?.cookie ?? (view.peerCookie || view.cookie)),
          sourcePort: tuple.source.port,
          bytesSent: Number(client ? client.sent : view.received),
          bytesReceived: Number(server ? server.sent : view.received),
        },
      ];
    });
  }

  /** The end that is a pod's of this node; who is at the other one, its tunnel said. */
  #tunnelledIn(server: ConnView): LiveFlow {
    const { key, client, clientPort, dialled, dialledPort } = server;
    const tuple: Tuple = {
      source: { addr: client, port: clientPort },
      destination: { addr: key.local, port: key.localPort },
      dialled: { addr: dialled, port: dialledPort },
    };
    return {
      ...this.#info(server, tuple, ENDS_SERVER),
      mutualTls: true,
      id: Number(server.cookie),
      sourcePort: clientPort,
      bytesSent: Number(server.received),
      bytesReceived: Number(server.sent),
    };
  }

  identity(number: number): string {
    return this.#identities.name(number) ?? '';
  }

  /** A captured client is connected to the agent's listener: says where its bytes go instead. */
  #target(client: ConnView, remote: Tuple['destination']): Tuple['destination'] {
    const { key, dialled, dialledPort } = client;
    const captured =
      key.netns !== 0n &&
      key.remotePort === AgentPort.OUTBOUND &&
      dialledPort !== AgentPort.OUTBOUND;
    if (!captured) return remote;
    const service = this.#dialledService(client.service);
    const workload = this.#workload(client.destinationPod);
    const port = workload?.services
      .get(service ? serviceKey(service) : '')
      ?.find(({ servicePort }) => servicePort === dialledPort)?.targetPort;
    const ip = parseIp(addrToText(dialled));
    const address = workload?.addresses.find((own) => ip && ipFamily(own) === ipFamily(ip));
    if (!port || !address) return { addr: dialled, port: dialledPort };
    return { addr: addrFromText(address), port };
  }

  #rule(number: number, byPolicy: boolean): RuleName {
    const key = number ? keyOf(this.#state().numbers.policies, number) : undefined;
    if (key === undefined) return { policy: '', rule: byPolicy ? NO_ALLOW : '' };
    const { policy, rule } = parseRuleKey(key);
    return { policy, rule: rule === undefined ? '' : String(rule) };
  }

  #dryRun(
    { destinationPod, sourceIdentity }: Pick<Numbers, 'destinationPod' | 'sourceIdentity'>,
    { local, remote, remotePort }: Pick<FlowEvent['key'], 'local' | 'remote' | 'remotePort'>,
  ): DryRunVerdict | undefined {
    const uid = destinationPod ? this.#reconciler.uidOf(destinationPod) : undefined;
    const sourceAddr = parseIp(addrToText(local));
    const destAddr = parseIp(addrToText(remote));
    if (uid === undefined || !sourceAddr || !destAddr) return undefined;
    const decision = this.#verdicts.dryRun(uid, {
      sourceIdentity: this.identity(sourceIdentity) || undefined,
      sourceAddr,
      destAddr,
      destPort: remotePort,
    });
    return decision && { allowed: decision.allowed, ...ruleName(decision) };
  }

  #info(numbers: Numbers, tuple: Tuple, ends: number): Omit<FlowInfo, 'mutualTls'> {
    const { addr, port } = tuple.destination;
    const destination = {
      ...this.#end(numbers.destinationPod, numbers.destinationIdentity, addr),
      port,
    };
    const dialled = { address: addrToText(tuple.dialled.addr), port: tuple.dialled.port };
    const rewritten =
      !isZeroAddr(tuple.dialled.addr) &&
      (dialled.address !== destination.address || dialled.port !== destination.port);
    const reporters: Reporter[] = [];
    if (ends & ENDS_CLIENT) reporters.push('source');
    if (ends & ENDS_SERVER) reporters.push('destination');
    return {
      source: this.#end(numbers.sourcePod, numbers.sourceIdentity, tuple.source.addr),
      destination,
      dialled: rewritten ? dialled : undefined,
      service: this.#service(numbers.service, destination),
      reporters,
    };
  }

  #end(podId: number, identity: number, addr: Uint8Array): FlowEnd {
    const { snapshot } = this.#state();
    const uid = podId ? this.#reconciler.uidOf(podId) : undefined;
    const text = addrToText(addr);
    const ip = parseIp(text);
    const workload: Workload | undefined = snapshot.workloads.get(
      uid ?? (ip ? (snapshot.byAddress.get(ip)?.[0] ?? '') : ''),
    );
    /* A captured connection leaves its application on loopback: say the pod's address. */
    const loopback = text === '::1' || text.startsWith('127.');
    return {
      address: loopback && workload?.addresses[0] ? workload.addresses[0] : text,
      workload,
      identity: this.identity(identity),
    };
  }

  /** The Service that was dialled; for a pod's own address the one Service that leads to this port. */
  #service(number: number, destination: FlowInfo['destination']): Service | undefined {
    if (number) return this.#dialledService(number);
    const { snapshot } = this.#state();
    const candidates = [...(destination.workload?.services ?? [])].filter(([, ports]) =>
      ports.some(({ targetPort }) => targetPort === destination.port),
    );
    return candidates.length === 1 ? snapshot.services.get(candidates[0]![0]) : undefined;
  }

  #dialledService(number: number): Service | undefined {
    const { snapshot, plan, numbers } = this.#state();
    const key = number ? keyOf(numbers.services, number) : undefined;
    const entry = key === undefined ? undefined : plan.services.get(key);
    return entry && snapshot.services.get(serviceKey(entry.service));
  }

  #workload(podId: number): Workload | undefined {
    const uid = podId ? this.#reconciler.uidOf(podId) : undefined;
    return uid === undefined ? undefined : this.#state().snapshot.workloads.get(uid);
  }
}

/**
 * No connection of an application's: the agent's second leg, whose first one tells of the connection (of what came over HBONE
 * that one is on another node), and what carries tunnels.
 */
export function isAgents({ client, server }: Connection): boolean {
  if (((client?.flags ?? 0) & (ConnFlags.AGENT | ConnFlags.TUNNELLED)) === ConnFlags.AGENT)
    return true;
  return !client && server !== undefined && carriesTunnels(server);
}

export function carriesTunnels({ flags, key }: ConnView): boolean {
  return (flags & ConnFlags.AGENT) !== 0 && key.localPort === AgentPort.HBONE;
}

/** As logs and metrics name what decided. */
export function ruleName({ allowed, policy, rule }: Decision): RuleName {
  if (policy !== undefined && rule !== undefined) return { policy, rule: String(rule) };
  return { policy: '', rule: allowed ? '' : NO_ALLOW };
}

/** Its reason says why it was not spliced, or why it was cut. */
function explains(event: FlowEvent): boolean {
  return event.path === FlowPath.PLAIN || event.reason === Reason.REVOKED;
}

function tupleOf(event: FlowEvent): Tuple {
  return {
    source: { addr: event.key.local, port: event.key.localPort },
    destination: { addr: event.key.remote, port: event.key.remotePort },
    dialled: { addr: event.dialled, port: event.dialledPort },
  };
}
