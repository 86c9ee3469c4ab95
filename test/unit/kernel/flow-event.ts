/** A flow_event between two pods, for the tests of what reads it. */
import { addrFromText, ZERO_ADDR } from '../../../src/kernel/abi/address.ts';
import { EventType, FlowPath, type FlowEvent } from '../../../src/kernel/abi/layout.gen.ts';

export function event(more: Partial<FlowEvent> = {}): FlowEvent {
  return {
    type: EventType.CLOSE,
    reason: 0,
    key: {
      local: addrFromText('10.0.0.1'),
      remote: addrFromText('10.0.0.2'),
      ...{ localPort: 40_000, remotePort: 8080, netns: 0n },
    },
    bornNs: 1_000_000n,
    endedNs: 13_400_000n,
    cookie: 1n,
    serverCookie: 2n,
    clientSent: 100n,
    serverSent: 2000n,
    redirectedBytes: 2100n,
    flags: 0,
    path: FlowPath.SPLICED,
    sourceIdentity: 11,
    destinationIdentity: 12,
    sourcePod: 1,
    destinationPod: 2,
    service: 0,
    policy: 0,
    dialled: ZERO_ADDR,
    dialledPort: 0,
    clientPort: 0,
    ends: 3,
    client: ZERO_ADDR,
    ...more,
  };
}
