/**
 * `podwire trust`: which programs may read spliced bytes, and what the others did that spoke against it.
 */
import type { Command } from 'commander';
import type { TrustView } from '../admin/view.ts';
import { listCommand } from './list-command.ts';
import { formatAge } from './output.ts';

export function trustCommand(): Command {
  return listCommand<TrustView>({
    name: 'trust',
    description: 'List the programs of captured pods and whether their connections are spliced.',
    path: 'trust',
    empty: 'no program has been met yet',
    columns: [
      { head: 'WORKLOAD', cell: (row) => row.workload },
      { head: 'PROGRAM', cell: (row) => row.name },
      { head: 'STATE', cell: (row) => row.state },
      { head: 'REASON', cell: (row) => row.reason },
      { head: 'SEEN', cell: (row) => row.connections, align: 'right' },
      { head: 'QUIET', cell: (row) => row.quiet, align: 'right' },
      { head: 'SINCE', cell: (row) => formatAge(row.since), align: 'right' },
    ],
  });
}
