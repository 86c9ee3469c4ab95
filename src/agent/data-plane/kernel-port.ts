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
      };
    }
    /* Only sk_lookup brings a connection here under another port than the listener's own. */
    if (local.port === listener.port || local.port === AgentPort.INBOUND) return undefined;
    const spokenFor = record && record.clientPort !== 0 ? clientOf(record, remote) : undefined;
    return {
      target: local,
      dialled: local,
      client: spokenFor ?? remote,
      sourceIdentity: record?.identity ?? 0,
      sourcePod: record?.pod ?? 0,
    };
  }

  upstreamSocket(listener: ListenerInfo, origin: Origin): number {
    const inbound = listener.role === 'inbound';
    return this.#binding.socketIn({
      netnsPath: listener.netnsPath,
      family: familyOf(origin.target),
      resetOnClose: true,
      storage: {
        map: this.#agentSocks,
        value: AgentSock.encode({
          flags: AgentSockFlags.UPSTREAM | (inbound ? AgentSockFlags.ON_BEHALF : 0),
          identity: inbound ? origin.sourceIdentity : 0,
          pod: inbound ? origin.sourcePod : 0,
          client: inbound ? addrFromText(origin.client.address) : ZERO_ADDR,
          clientPort: origin.client.port,
        }),
      },
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
