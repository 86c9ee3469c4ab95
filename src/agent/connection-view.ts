/** Live connections as the admin API shows them: those the kernel's programs know, and those that are older. */
import type { ConnectionView } from '../admin/view.ts';
import { ConnFlags, Reason, reasonNames } from '../kernel/abi/layout.gen.ts';
import type { Connection } from '../kernel/connections.ts';
import { hostPort } from '../model/host-port.ts';
import type { FlowParty, LiveFlow } from '../telemetry/flow-info.ts';
import type { PreMeshConnection } from './pre-mesh.ts';

export function pathOf({ client, server }: Connection): ConnectionView['path'] {
  const flags = (client?.flags ?? 0) | (server?.flags ?? 0);
  if (flags & ConnFlags.TUNNELLED) return 'hbone';
  if (flags & ConnFlags.AGENT) return 'proxied';
  return flags & ConnFlags.PAIRED && !(flags & ConnFlags.PLAIN) ? 'spliced' : 'plain';
}

/** `nowNs`: CLOCK_MONOTONIC */
export function connectionView(one: Connection, flow: LiveFlow, nowNs: bigint): ConnectionView {
  const view = (one.client ?? one.server)!;
  const path = pathOf(one);
  const reason = one.client?.reason || one.server?.reason || Reason.NONE;
  return {
    id: flow.id.toString(),
    source: endView({ ...flow.source, port: flow.sourcePort }),
    destination: endView(flow.destination),
    service: flow.service?.hostname ?? '',
    path,
    reason: path === 'plain' && reason !== Reason.NONE ? (reasonNames[reason] ?? '') : '',
    ageMs: Math.round(Number(nowNs - view.bornNs) / 1e6),
    bytesSent: flow.bytesSent,
    bytesReceived: flow.bytesReceived,
    bytesSpliced: Number((one.client?.redirectedBytes ?? 0n) + (one.server?.redirectedBytes ?? 0n)),
    rttUs: view.srttUs || null,
  };
}

export function preMeshView(one: PreMeshConnection): ConnectionView {
  return {
    id: one.id.toString(),
    source: endView(one.source),
    destination: endView(one.destination),
    service: '',
    path: 'plain',
    reason: reasonNames[Reason.OLDER_THAN_AGENT] ?? '',
    ageMs: Date.now() - one.before.getTime(),
    bytesSent: Number(one.bytesSent),
    bytesReceived: Number(one.bytesReceived),
    bytesSpliced: 0,
    rttUs: one.rttUs || null,
  };
}

function endView({ address, port, workload, identity }: FlowParty): ConnectionView['source'] {
  return {
    address: hostPort(address, port),
    namespace: workload?.namespace ?? '',
    workload: workload?.name ?? '',
    identity,
  };
}
