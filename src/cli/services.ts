/**
 * `podwire services`: what each Service's address is balanced over, endpoint by endpoint.
 */
import { Command } from 'commander';
import type { ServiceView } from '../admin/view.ts';
import { hostPort } from '../model/host-port.ts';
import { adminOption, getAdmin } from './client.ts';
import { SENT_SERVICES, type PlainAddress } from './inspect/addresses.ts';
import { inspect } from './inspect/command.ts';
import { addSourceOptions, type SourceOptions } from './inspect/resources.ts';
import { outputOption, render, renderTable, type Column } from './output.ts';

interface ServicesOptions extends SourceOptions {
  readonly namespace?: string;
}

interface Row {
  readonly service: string;
  readonly address: string;
  readonly policy: string;
  readonly endpoint: string;
  readonly workload: string;
  readonly ready: string;
  readonly used: string;
  readonly weight: string;
  readonly active: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { head: 'SERVICE', cell: (row) => row.service },
  { head: 'ADDRESS', cell: (row) => row.address },
  { head: 'BALANCING', cell: (row) => row.policy },
  { head: 'ENDPOINT', cell: (row) => row.endpoint },
  { head: 'WORKLOAD', cell: (row) => row.workload },
  { head: 'READY', cell: (row) => row.ready },
  { head: 'USED', cell: (row) => row.used },
  { head: 'WEIGHT', cell: (row) => row.weight, align: 'right' },
  { head: 'ACTIVE', cell: (row) => row.active, align: 'right' },
];

export function servicesCommand(): Command {
  const command = new Command('services')
    .description('List Services, their endpoints and the connections each endpoint has.')
    .option('-n, --namespace <namespace>', 'only Services of this namespace')
    .addOption(adminOption())
    .addOption(outputOption());
  return addSourceOptions(command).action(list);
}

async function list(options: ServicesOptions): Promise<void> {
  const { admin, output, namespace, diff, from } = options;
  const wanted = (service: { readonly namespace: string }): boolean =>
    namespace === undefined || service.namespace === namespace;
  if (diff === true || from === 'control') {
    const isWanted = (address: PlainAddress): boolean =>
      address.kind === 'service' && wanted(address.service);
    await inspect({ ...SENT_SERVICES, wanted: isWanted }, options);
    return;
  }
  const services = (await getAdmin<readonly ServiceView[]>(admin, '/v1/services')).filter(wanted);
  const rows = services.flatMap(rowsOf);
  console.log(render(output, services, () => renderTable(COLUMNS, rows, 'no Services')));
}

function rowsOf(service: ServiceView): Row[] {
  return service.ports.flatMap(({ port, endpoints }) => {
    const head = {
      service: `${service.namespace}/${service.name}`,
      address: `${service.addresses.join(',') || 'headless'}:${port}`,
      policy: service.policy,
    };
    if (endpoints.length === 0) {
      return [
        { ...head, endpoint: 'none', workload: '', ready: '', used: '', weight: '', active: '' },
      ];
    }
    return endpoints.map((endpoint) => ({
      ...head,
      endpoint: hostPort(endpoint.address, endpoint.port),
      workload: endpoint.workload,
      ready: endpoint.ready ? 'yes' : 'no',
      used: endpoint.used ? 'yes' : 'no',
      weight: String(endpoint.weight),
      active: String(endpoint.active),
    }));
  });
}
