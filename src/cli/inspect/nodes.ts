/**
 * `podwire status --from control`: what every agent of the mesh has of what control sent it, as `istioctl proxy-status`.
 */
import { RESOURCE_KINDS, type ResourceKind } from '../../admin/resource-view.ts';
import type { StreamStatus, TypeStatus } from '../../xds/server/status.ts';
import { renderTable, type Column } from '../output.ts';

/** GET /v1/nodes of control */
export interface NodesView {
  readonly nodes: readonly StreamStatus[];
}

const HEADS: Readonly<Record<ResourceKind, string>> = {
  addresses: 'ADDRESSES',
  authorizations: 'POLICIES',
  secrets: 'SECRETS',
  clusters: 'CLUSTERS',
  loadAssignments: 'ENDPOINTS',
  routes: 'ROUTES',
  listeners: 'LISTENERS',
};

const COLUMNS: readonly Column<StreamStatus>[] = [
  { head: 'NODE', cell: ({ node, nodeId }) => node || nodeId },
  { head: 'CLUSTER', cell: ({ cluster }) => cluster },
  ...RESOURCE_KINDS.map((kind) => ({
    head: HEADS[kind],
    cell: (stream: StreamStatus) => stateText(typeOf(stream, kind)),
  })),
  { head: 'PEER', cell: ({ peer }) => peer },
  { head: 'SINCE', cell: ({ connectedSince }) => connectedSince },
];

export function nodesPage({ nodes }: NodesView): string {
  const table = renderTable(COLUMNS, nodes, 'no agent is connected');
  const refusals = nodes.flatMap(({ node, nodeId, types }) =>
    types.flatMap(({ type, nacked }) =>
      nacked === null
        ? []
        : [`${node || nodeId} refuses ${type} ${nacked.version}: ${nacked.reason}`],
    ),
  );
  return [table, ...(refusals.length === 0 ? [] : [refusals.join('\n')])].join('\n\n');
}

function typeOf({ types }: StreamStatus, kind: ResourceKind): TypeStatus | undefined {
  return types.find(({ type }) => type === kind);
}

/** "synced 120": what it has, and whether that is what was sent last */
function stateText(type: TypeStatus | undefined): string {
  if (type === undefined || type.state === 'not-sent') return '-';
  return `${type.state} ${type.resources}`;
}
