/**
 * `podwire endpoints`: who serves what, of Services in the kernel (L4) and of clusters in the proxy (L7).
 */
import { Command } from 'commander';
import type { ResourceView } from '../../admin/resource-view.ts';
import { hostPort } from '../../model/host-port.ts';
import type { LoadAssignment } from '../../model/load-assignment.ts';
import { adminOption } from '../client.ts';
import { outputOption, render, renderTable, type Column } from '../output.ts';
import { endpointRows, type EndpointRow, type PlainAddress } from './addresses.ts';
import { inspect } from './command.ts';
import { addSourceOptions, fetchResources, type SourceOptions } from './resources.ts';

const COLUMNS: readonly Column<EndpointRow>[] = [
  { head: 'OF', cell: (row) => row.of },
  { head: 'LAYER', cell: ({ layer }) => layer },
  { head: 'ENDPOINT', cell: ({ endpoint }) => endpoint },
  { head: 'WORKLOAD', cell: ({ workload }) => workload },
  { head: 'HEALTHY', cell: ({ healthy }) => (healthy ? 'yes' : 'no') },
  { head: 'WEIGHT', cell: ({ weight }) => weight, align: 'right' },
];

export function endpointsCommand(): Command {
  const command = new Command('endpoints')
    .description('List the endpoints of Services (L4) and of clusters (L7).')
    .addOption(adminOption())
    .addOption(outputOption());
  return addSourceOptions(command).action(list);
}

async function list(options: SourceOptions): Promise<void> {
  if (options.diff === true) {
    await inspect(ASSIGNMENTS, options);
    return;
  }
  const { from, output } = options;
  const addresses = await fetchResources(from, options, 'addresses');
  const assignments = await fetchResources(from, options, 'loadAssignments');
  const rows = [
    ...endpointRows(addresses as readonly ResourceView<PlainAddress>[]),
    ...assignmentRows(assignments as readonly ResourceView<LoadAssignment>[]),
  ].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  console.log(render(output, rows, () => renderTable(COLUMNS, rows, 'no endpoints')));
}

function keyOf({ layer, of, endpoint }: EndpointRow): string {
  return `${layer} ${of} ${endpoint}`;
}

/** Endpoints of Services are part of the workloads: `podwire workloads --diff` compares them. */
const ASSIGNMENTS = {
  name: 'endpoints',
  description: '',
  kind: 'loadAssignments',
  columns: COLUMNS,
  rows: assignmentRows,
  empty: 'no endpoints',
} as const;

export function assignmentRows(
  resources: readonly ResourceView<LoadAssignment>[],
): readonly EndpointRow[] {
  return resources.flatMap(({ name, resource }) =>
    resource.localities.flatMap(({ endpoints }) =>
      endpoints.map(({ address, port, workload, healthy, weight }): EndpointRow => ({
        of: name,
        layer: 'L7',
        endpoint: hostPort(typeof address === 'string' ? address : address.host, port),
        workload: workload ?? '',
        healthy,
        weight,
      })),
    ),
  );
}
