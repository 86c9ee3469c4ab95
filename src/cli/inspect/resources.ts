/**
 * Where an inspecting verb takes its resources from: the agent (what it holds) or control (what it would send to a node).
 */
import { Option, type Command } from 'commander';
import type { ResourceKind, ResourcesView, ResourceView } from '../../admin/resource-view.ts';
import { DEFAULT_CONTROL_ADMIN_SOCKET } from '../../config/defaults.ts';
import { PodwireError } from '../../errors.ts';
import { getAdmin } from '../client.ts';
import type { ListOptions } from '../list-command.ts';

export interface SourceOptions extends ListOptions {
  readonly from: 'agent' | 'control';
  readonly control: string;
  readonly node?: string;
  readonly cluster?: string;
  readonly diff?: boolean;
}

export function addSourceOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--from <process>', 'what the agent holds, or what control would send')
        .choices(['agent', 'control'])
        .default('agent'),
    )
    .option('--control <socket>', 'admin socket of control', DEFAULT_CONTROL_ADMIN_SOCKET)
    .option('--node <name>', 'from control: what this node gets (default: all there is)')
    .option('--cluster <id>', 'from control: cluster of the node')
    .option('--diff', 'compare what the agent holds with what control would send');
}

export async function fetchResources(
  from: SourceOptions['from'],
  options: SourceOptions,
  kind: ResourceKind,
): Promise<readonly ResourceView[]> {
  const query = new URLSearchParams({ type: kind });
  if (from === 'control') {
    if (options.node !== undefined) query.set('node', options.node);
    if (options.cluster !== undefined) query.set('cluster', options.cluster);
  }
  const path = from === 'agent' ? '/v1/resources' : '/debug/config_dump';
  const socket = from === 'agent' ? options.admin : options.control;
  const { types } = await askFor<ResourcesView>(from, socket, `${path}?${query.toString()}`);
  return types[kind] ?? [];
}

/** As getAdmin, with the error of the process that was asked. */
export async function askFor<T>(
  from: SourceOptions['from'],
  socket: string,
  path: string,
): Promise<T> {
  try {
    return await getAdmin<T>(socket, path);
  } catch (error) {
    if (from === 'agent' || !(error instanceof PodwireError) || error.code !== 'ERR_NO_AGENT') {
      throw error;
    }
    throw new PodwireError('ERR_NO_AGENT', `no control plane answers on ${socket}`, {
      cause: error.cause,
      hint: 'an agent with --config has control inside: there is nothing to compare; otherwise name the socket with --control SOCKET',
    });
  }
}
