/**
 * The resources a process holds, as plain JSON under their xDS names: the agent's at /v1/resources, and what control would
 * send at its /debug/config_dump, in one shape, so that they can be compared.
 */
import { addressName } from '../model/messages.ts';
import { plain, plainSecret } from '../model/plain.ts';
import type { Snapshot } from '../model/snapshot.ts';

export const RESOURCE_KINDS = [
  'addresses',
  'authorizations',
  'secrets',
  'clusters',
  'loadAssignments',
  'routes',
  'listeners',
] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

export interface ResourceView<T = unknown> {
  /** the xDS resource name */
  readonly name: string;
  /** the model's object, maps as objects; private keys are left out */
  readonly resource: T;
}

export interface ResourcesView {
  readonly types: Readonly<Partial<Record<ResourceKind, readonly ResourceView[]>>>;
}

export function isResourceKind(text: string): text is ResourceKind {
  return (RESOURCE_KINDS as readonly string[]).includes(text);
}

/** `kind`: of one type only */
export function resourcesView(snapshot: Snapshot, kind?: ResourceKind): ResourcesView {
  const wanted = RESOURCE_KINDS.filter((one) => kind === undefined || one === kind);
  return { types: Object.fromEntries(wanted.map((one) => [one, READERS[one](snapshot)])) };
}

const READERS: Readonly<Record<ResourceKind, (snapshot: Snapshot) => ResourceView[]>> = {
  addresses: ({ workloads, services }) => [
    ...[...workloads.values()].map((workload) => address({ kind: 'workload', workload })),
    ...[...services.values()].map((service) => address({ kind: 'service', service })),
  ],
  authorizations: ({ authorizations }) => named(authorizations),
  secrets: ({ secrets }) =>
    [...secrets].map(([name, secret]) => ({ name, resource: plainSecret(secret) })),
  clusters: ({ clusters }) => named(clusters),
  loadAssignments: ({ loadAssignments }) => named(loadAssignments),
  routes: ({ routes }) => named(routes),
  listeners: ({ listeners }) => named(listeners),
};

function address(one: Parameters<typeof addressName>[0]): ResourceView {
  return { name: addressName(one), resource: plain(one) };
}

function named(resources: Iterable<readonly [string, unknown]>): ResourceView[] {
  return [...resources].map(([name, resource]) => ({ name, resource: plain(resource) }));
}
