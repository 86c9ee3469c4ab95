/**
 * `podwire pods`: the pods of this node, whether each is captured, since when, and why not.
 */
import type { Command } from 'commander';
import type { PodView } from '../admin/view.ts';
import { listCommand, type ListOptions } from './list-command.ts';
import { formatAge } from './output.ts';

interface PodsOptions extends ListOptions {
  readonly namespace?: string;
}

export function podsCommand(): Command {
  return listCommand<PodView, PodsOptions>({
    name: 'pods',
    description: 'List the pods of this node and whether they are captured.',
    path: 'pods',
    empty: 'no pods',
    configure: (command) =>
      command.option('-n, --namespace <namespace>', 'only pods of this namespace'),
    select: (pods, { namespace }) =>
      pods.filter((pod) => namespace === undefined || pod.namespace === namespace),
    columns: [
      { head: 'NAMESPACE', cell: (pod) => pod.namespace },
      { head: 'NAME', cell: (pod) => pod.name },
      { head: 'STATE', cell: (pod) => pod.state },
      { head: 'SINCE', cell: (pod) => formatAge(pod.since) },
      { head: 'CAPTURE', cell: (pod) => pod.capture },
      { head: 'SPLICE', cell: (pod) => pod.splice },
      { head: 'ADDRESSES', cell: (pod) => pod.addresses.join(',') },
      { head: 'NETNS', cell: (pod) => pod.netns },
      { head: 'REASON', cell: (pod) => pod.reason },
    ],
  });
}
