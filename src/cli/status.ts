/**
 * `podwire status`: is the agent well, what does it work on, and what is wrong with its configuration.
 */
import { Command, Option } from 'commander';
import type { StatusView } from '../admin/view.ts';
import { DEFAULT_CONTROL_ADMIN_SOCKET } from '../config/defaults.ts';
import { formatFinding, type Finding } from '../model/finding.ts';
import { leftOutPage } from './left-out-page.ts';
import { nodePage, onDemandLine, xdsPage } from './xds-page.ts';
import { adminOption, getAdmin } from './client.ts';
import { nodesPage, type NodesView } from './inspect/nodes.ts';
import { askFor, type SourceOptions } from './inspect/resources.ts';
import type { ListOptions } from './list-command.ts';
import { formatDuration, outputOption, render, renderFacts } from './output.ts';

type StatusOptions = ListOptions & Pick<SourceOptions, 'from' | 'control'>;

export function statusCommand(): Command {
  return new Command('status')
    .description('Show how the agent of this node is, or which agents have what control sent.')
    .addOption(adminOption())
    .addOption(
      new Option('--from <process>', 'the agent, or control: all nodes it serves')
        .choices(['agent', 'control'])
        .default('agent'),
    )
    .option('--control <socket>', 'admin socket of control', DEFAULT_CONTROL_ADMIN_SOCKET)
    .addOption(outputOption())
    .action(async ({ admin, from, control, output }: StatusOptions) => {
      if (from === 'control') {
        const nodes = await askFor<NodesView>(from, control, '/v1/nodes');
        console.log(render(output, nodes, () => nodesPage(nodes)));
        return;
      }
      const status = await getAdmin<StatusView>(admin, '/v1/status');
      const findings = await getAdmin<readonly Finding[]>(admin, '/v1/findings');
      console.log(render(output, { ...status, problems: findings }, () => page(status, findings)));
    });
}

function page(status: StatusView, findings: readonly Finding[]): string {
  const { kernel, mesh, pods, connections, splice, config } = status;
  const older =
    kernel.older.length === 0 ? '' : `, older still serving: ${kernel.older.join(', ')}`;
  const facts = renderFacts([
    [
      'agent',
      `${status.version}, pid ${status.pid}, up ${formatDuration(status.uptimeSeconds * 1000)}`,
    ],
    ['ready', status.ready ? 'yes' : `no: ${status.blockers.join(', ')}`],
    ['pods', `${pods.captured} captured, ${pods.failed} failed`],
    ['connections', `${connections.live} live, ${connections.spliced} spliced`],
    [
      'splicing',
      splice.enabled ? `on${splice.reason && `: ${splice.reason}`}` : `off: ${splice.reason}`,
    ],
    [
      'mesh',
      `${mesh.workloads} workloads, ${mesh.services} services, ${mesh.policies} policies (version ${mesh.snapshot})`,
    ],
    [
      'kernel',
      `generation ${kernel.generation}${kernel.adopted ? ' (adopted)' : ''}, policy epoch ${kernel.epoch}${older}`,
    ],
    ['config', config.dir || '-'],
    ['cgroup', config.cgroup],
    ['pins', `${config.bpffs}/podwire`],
    ['state', config.stateDir],
    ['certificates', certificatesLine(status.certificates)],
    ['metrics', status.metrics === null ? 'off' : `http://${status.metrics}/metrics`],
  ]);
  const sections = [facts];
  if (status.xds !== null) sections.push(xdsPage(status.xds));
  if (status.xds?.onDemand) sections.push(onDemandLine(status.xds.onDemand));
  if (status.xds?.leftOut) sections.push(leftOutPage(status.xds.leftOut));
  if (status.node !== null) sections.push(nodePage(status.node));
  if (findings.length > 0) {
    const lines = findings.map((finding) => `  ${finding.severity}: ${formatFinding(finding)}`);
    sections.push(`problems of the configuration:\n${lines.join('\n')}`);
  }
  return sections.join('\n\n');
}

function certificatesLine(status: StatusView['certificates']): string {
  const { source, reason, identities, valid, crl } = status;
  if (source === '') return reason === '' ? '-' : `none: ${reason}`;
  const revoked = crl === null ? '' : `; ${crl.entries} revoked`;
  return `${valid} of ${identities} identities, from ${source}${revoked}`;
}
