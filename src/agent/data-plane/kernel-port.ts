/** The proxy's view of the kernel: provenance records by the accepted 4-tuple, sockets inside pods. */
import { addrFromText, addrToText, isZeroAddr, ZERO_ADDR } from '../../kernel/abi/address.ts';
import {
  AgentPort,
  AgentSock,
  AgentSockFlags,
  FlowKey,
  Record as Provenance,
  RecordFlags,
} from '../../kernel/abi/layout.gen.ts';
import type { Binding, BpfMap } from '../../kernel/binding.ts';
import { TypedMap } from '../../kernel/typed-map.ts';
import type { KernelPort, ListenerInfo } from '../../proxy/tcp-proxy.ts';
import type { AcceptedLink, Endpoint, Origin } from '../../proxy/transport.ts';

/** What the agent's sockets say when they speak for nobody else. */
const NOBODY = { identity: 0, pod: 0, client: ZERO_ADDR, clientPort: 0 };

export class PodKernelPort implements KernelPort {
  readonly #binding: Binding;
  readonly #records: TypedMap<FlowKey, Provenance>;
  readonly #agentSocks: BpfMap;

  constructor(options: { binding: Binding; records: BpfMap; agentSocks: BpfMap }) {
    this.#binding = options.binding;
    this.#records = new TypedMap('records', options.records, FlowKey, Provenance);
    this.#agentSocks = options.agentSocks;
  }

  origin(listener: ListenerInfo, accepted: AcceptedLink): Origin | undefined {
    const { local, remote } = accepted;
    const outbound = listener.role === 'outbound';
    const record = this.#records.get({
      local: addrFromText(remote.address),
      remote: addrFromText(local.address),
      localPort: remote.port,
      remotePort: local.port,
      netns: outbound ? listener.netnsCookie : 0n,
    });
    if (outbound) {
      if (!record || !(record.flags & RecordFlags.CAPTURED)) return undefined;
      return {
        target: { address: addrToText(record.target), port: record.targetPort },
        dialled: { address: addrToText(record.dialled), port: record.dialledPort },
        client: remote,
        sourceIdentity: record.identity,
        sourcePod: record.pod,
        tunnelled: (record.flags & RecordFlags.TUNNELLED) !== 0,
      };
    }
    /* Only sk_lookup brings a connection here under another port than the listener's own. */
    if (local.port === listener.port || local.port === AgentPort.INBOUND) return undefined;
    const spokenFor = record && record.clientPort !== 0 ? clientOf(record, remote) : undefined;
    return {
      target: local,
      dialled: local,
      client: spokenFor ?? remote,
      sourceIdentity: listener.provenance ? (record?.identity ?? 0) : 0,
      sourcePod: record?.pod ?? 0,
      tunnelled: false,
    };
  }

  /** A socket in the listener's pod, marked as the agent's; inbound legs speak for `origin`. */
  upstreamSocket(listener: ListenerInfo, origin: Origin): number {
    if (listener.role === 'outbound') {
      return this.#socket(listener, origin.target, {
        ...NOBODY,
        flags: AgentSockFlags.UPSTREAM,
        clientPort: origin.client.port,
      });
    }
    const tunnelled = listener.role === 'hbone';
    return this.#socket(listener, origin.target, {
      flags:
        AgentSockFlags.UPSTREAM |
        AgentSockFlags.ON_BEHALF |
        (tunnelled ? AgentSockFlags.TUNNELLED : 0),
      identity: origin.sourceIdentity,
      pod: origin.sourcePod,
      client: addrFromText(origin.client.address),
      // all streams of a tunnel have its port: the kernel says the socket's own
      clientPort: tunnelled ? 0 : origin.client.port,
    });
  }

  /** A socket in the listener's pod for a tunnel to `gateway`. */
  tunnelSocket(listener: ListenerInfo, gateway: Endpoint): number {
    return this.#socket(listener, gateway, { ...NOBODY, flags: AgentSockFlags.UPSTREAM });
  }

  #socket({ netnsPath }: ListenerInfo, to: Endpoint, value: AgentSock): number {
    return this.#binding.socketIn({
      netnsPath,
      family: familyOf(to),
      resetOnClose: true,
      storage: { map: this.#agentSocks, value: AgentSock.encode(value) },
    });
  }
}

/** Whom another agent's leg speaks for; one that leaves its own pod says the port only. */
function clientOf(record: Provenance, remote: Endpoint): Endpoint {
  const address = isZeroAddr(record.client) ? remote.address : addrToText(record.client);
  return { address, port: record.clientPort };
}

function familyOf(endpoint: Endpoint): 4 | 6 {
  return endpoint.address.includes(':') ? 6 : 4;
}
