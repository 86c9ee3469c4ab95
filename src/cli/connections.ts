/**
 * `podwire connections`: what is open now, over which path, and why it is not spliced.
 */
import { Option, type Command } from 'commander';
import type { ConnectionEndView, ConnectionView } from '../admin/view.ts';
import { listCommand, type ListOptions } from './list-command.ts';
import { formatBytes, formatDuration } from './output.ts';

interface ConnectionsOptions extends ListOptions {
  readonly namespace?: string;
  readonly path?: ConnectionView['path'];
}

export function connectionsCommand(): Command {
  return listCommand<ConnectionView, ConnectionsOptions>({
    name: 'connections',
    description: 'List the live connections of captured pods.',
    path: 'connections',
    empty: 'no connections',
    configure: (command) =>
      command
        .option('-n, --namespace <namespace>', 'only connections from or to this namespace')
        .addOption(
          new Option('--path <path>', 'only connections over this path').choices([
            'plain',
            'spliced',
            'proxied',
            'hbone',
          ]),
        ),
    select: (connections, { namespace, path }) =>
      connections
        .filter((one) => path === undefined || one.path === path)
        .filter(({ source, destination }) => {
          if (namespace === undefined) return true;
          return source.namespace === namespace || destination.namespace === namespace;
        }),
    columns: [
      { head: 'SOURCE', cell: ({ source }) => name(source) },
      { head: 'DESTINATION', cell: ({ destination }) => name(destination) },
      { head: 'SERVICE', cell: ({ service }) => service },
      { head: 'PATH', cell: ({ path }) => path },
      { head: 'NOT SPLICED', cell: ({ reason }) => reason },
      { head: 'AGE', cell: ({ ageMs }) => formatDuration(ageMs), align: 'right' },
      { head: 'SENT', cell: ({ bytesSent }) => formatBytes(bytesSent), align: 'right' },
      { head: 'RECEIVED', cell: ({ bytesReceived }) => formatBytes(bytesReceived), align: 'right' },
      { head: 'RTT', cell: ({ rttUs }) => (rttUs === null ? '' : `${rttUs}us`), align: 'right' },
    ],
  });
}

/** "shop/web-1 10.0.0.7:80" */
function name({ namespace, workload, address }: ConnectionEndView): string {
  return workload === '' ? address : `${namespace}/${workload} ${address}`;
}
