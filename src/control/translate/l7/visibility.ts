/**
 * What a client may see: exportTo of those who offer, Sidecar egress of those who ask.
 */
import type { IstioEgressListener } from '../../../model/resource/sidecar.ts';
import type { WorkloadSelector } from '../../../model/resource/spec.ts';
import { matchesPattern, type Catalog, type ResourceOf } from './catalog.ts';
import type { Client } from './client.ts';
import { SIDECARS } from './sidecar-changes.ts';

/** "*": all, ".": the resource's own namespace, "~": none; absent: all */
export function exportedTo(
  exportTo: readonly string[] | undefined,
  namespace: string,
  client: Client,
): boolean {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return true;
  return exportTo.some((name) => name !== '~' && client.isIn(name === '.' ? namespace : name));
}

type Sidecar = ResourceOf<'Sidecar'>;

export class Imports {
  readonly #catalog: Catalog;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** Whether the client's Sidecar, if one is in force, lists the host of that namespace. */
  imports(client: Client, namespace: string, host: string): boolean {
    const egress = this.sidecarOf(client)?.spec.egress ?? [];
    if (egress.length === 0) return true;
    this.#catalog.noteSidecarHost(host);
    return egress.some((item) => listsHost(item, namespace, host, client));
  }

  /** The same for one port: egress listeners of a port stand before those of none. */
  importsPort(client: Client, namespace: string, host: string, port: number): boolean {
    const egress = this.sidecarOf(client)?.spec.egress ?? [];
    if (egress.length === 0) return true;
    this.#catalog.noteSidecarHost(host);
    const own = egress.filter((item) => item.port?.number === port);
    const counting = own.length > 0 ? own : egress.filter((item) => item.port === undefined);
    return counting.some((item) => listsHost(item, namespace, host, client));
  }

  /** The one that selects the client's pods, that of its namespace, or that of the root namespace. */
  sidecarOf(client: Client): Sidecar | undefined {
    if (client.isGateway) return undefined;
    const { rootNamespace } = this.#catalog;
    const all = this.#catalog.read('Sidecar', SIDECARS);
    const own = all.filter(({ namespace }) => client.isIn(namespace));
    return (
      own.find(({ spec }) => selects(spec.workloadSelector, client)) ??
      own.find(({ spec }) => !hasSelector(spec.workloadSelector)) ??
      all.find(
        ({ namespace, spec }) => namespace === rootNamespace && !hasSelector(spec.workloadSelector),
      )
    );
  }

  /** REGISTRY_ONLY: what is not known is refused. */
  registryOnly(client: Client): boolean {
    return this.sidecarOf(client)?.spec.outboundTrafficPolicy?.mode === 'REGISTRY_ONLY';
  }
}

function listsHost(
  { hosts }: IstioEgressListener,
  namespace: string,
  host: string,
  client: Client,
): boolean {
  return hosts.some((item) => {
    const slash = item.indexOf('/');
    const where = item.slice(0, slash);
    if (where === '~' || !matchesPattern(item.slice(slash + 1), host)) return false;
    if (where === '.') return client.isIn(namespace);
    return where === '*' || where === namespace;
  });
}

function hasSelector(selector: WorkloadSelector | undefined): boolean {
  return Object.keys(selector?.labels ?? {}).length > 0;
}

function selects(selector: WorkloadSelector | undefined, client: Client): boolean {
  return hasSelector(selector) && client.hasLabels(selector?.labels);
}
