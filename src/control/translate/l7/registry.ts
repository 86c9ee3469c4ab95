/**
 * The hosts of the mesh: Services of Kubernetes and ServiceEntries in one shape.
 */
import { parseIp, parsePrefix, type Ip, type Prefix } from '../../../model/ip.ts';
import type { Resource } from '../../../model/resource.ts';
import type { Catalog, ResourceOf } from './catalog.ts';
import type { Client } from './client.ts';
import { protocolOf, type PortProtocol } from './port-protocol.ts';
import { exportedTo, type Imports } from './visibility.ts';

export interface HostPort {
  readonly number: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  /** of endpoints that name none themselves */
  readonly targetPort: number;
}

export interface Host {
  readonly host: string;
  /** of its Service message: "namespace/host" */
  readonly key: string;
  readonly resource: Resource;
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly Ip[];
  /** blocks of addresses, where a ServiceEntry has them */
  readonly blocks: readonly Prefix[];
  readonly ports: readonly HostPort[];
  /** how its endpoints are known */
  readonly resolution: 'ENDPOINTS' | 'DNS' | 'DNS_ROUND_ROBIN' | 'NONE';
  /** outside the mesh */
  readonly external: boolean;
  readonly exportTo: readonly string[] | undefined;
  readonly entry: ResourceOf<'ServiceEntry'> | undefined;
}

export class Registry {
  readonly #catalog: Catalog;
  readonly #imports: Imports;
  readonly #clusterId: string;

  constructor(catalog: Catalog, imports: Imports, clusterId: string) {
    this.#catalog = catalog;
    this.#imports = imports;
    this.#clusterId = clusterId;
  }

  /** All definitions of a host, whoever may see them: its own Service first. */
  definitions(host: string): Host[] {
    const services = this.#catalog.read('Service', host);
    const own = services.filter(({ cluster = this.#clusterId }) => cluster === this.#clusterId);
    const [service] = own.length > 0 ? own : services;
    return [
      ...(service ? [serviceHost(service, host)] : []),
      ...this.#catalog.read('ServiceEntry', host).map((entry) => entryHost(entry, host)),
    ];
  }

  /** What the client means by a host: the definition of its own namespace, or the first it may see. */
  find(host: string, client: Client): Host | undefined {
    const all = this.definitions(host);
    if (all.length > 1) {
      const own = all.find(({ namespace }) => client.isIn(namespace));
      if (own !== undefined) return own;
    }
    return all.find((definition) => this.visible(definition, client));
  }

  /** Also found where only a wildcard ServiceEntry has it. */
  findAny(host: string, client: Client): Host | undefined {
    const exact = this.find(host, client);
    if (exact !== undefined) return exact;
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const found = this.find(`*${host.slice(dot)}`, client);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  visible({ namespace, host, exportTo }: Host, client: Client): boolean {
    return (
      exportedTo(exportTo, namespace, client) && this.#imports.imports(client, namespace, host)
    );
  }
}

function serviceHost(service: ResourceOf<'Service'>, host: string): Host {
  return {
    host,
    key: `${service.namespace}/${host}`,
    resource: service,
    namespace: service.namespace,
    name: service.name,
    addresses: service.addresses,
    blocks: [],
    ports: service.ports.map(({ name, port, targetPort, appProtocol }) => ({
      number: port,
      name,
      protocol: protocolOf(name, appProtocol),
      targetPort: typeof targetPort === 'number' ? targetPort : port,
    })),
    resolution: 'ENDPOINTS',
    external: false,
    exportTo: service.exportTo,
    entry: undefined,
  };
}

export function entryHost(entry: ResourceOf<'ServiceEntry'>, host: string): Host {
  const { spec, namespace, name } = entry;
  const addresses: Ip[] = [];
  const blocks: Prefix[] = [];
  for (const text of spec.addresses ?? []) {
    const address = parseIp(text);
    const block = parsePrefix(text);
    if (address !== undefined) addresses.push(address);
    else if (block !== undefined) blocks.push(block);
  }
  return {
    host,
    key: `${namespace}/${host}`,
    resource: entry,
    namespace,
    name,
    addresses,
    blocks,
    ports: (spec.ports ?? []).map((port) => ({
      number: port.number,
      name: port.name,
      protocol: protocolOf(port.name, port.protocol),
      targetPort: port.targetPort ?? port.number,
    })),
    resolution: resolutionOf(spec.resolution),
    external: spec.location !== 'MESH_INTERNAL',
    exportTo: spec.exportTo,
    entry,
  };
}

function resolutionOf(
  resolution: ResourceOf<'ServiceEntry'>['spec']['resolution'],
): Host['resolution'] {
  switch (resolution) {
    case 'STATIC':
      return 'ENDPOINTS';
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      return resolution;
    default:
      return 'NONE';
  }
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}
