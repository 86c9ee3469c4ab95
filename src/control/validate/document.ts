/**
 * One YAML document → resources and findings: the dispatch by apiVersion and kind.
 */
import type { Finding } from '../../model/finding.ts';
import type { Resource } from '../../model/resource.ts';
import { readAuthorizationPolicy } from './authorization-policy.ts';
import { readNamespace, readSecret, readServiceAccount } from './core-kinds.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { idKind, readCustomResource, type ValidateOptions } from './custom-resource.ts';
import { describe, Fields, type Problem } from './fields.ts';
import { defaultNamespace, resourceId } from './metadata.ts';
import { readNetworkPolicy } from './network-policy.ts';
import { readNode } from './node.ts';
import { readPod } from './pod.ts';
import { readService } from './service.ts';
import type { CustomKind } from './supported.ts';

export interface ValidatedDocument {
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
}

type Report = (problem: Problem) => void;
type Read = (
  root: Fields,
  file: string,
  report: Report,
  options: ValidateOptions,
) => Resource | undefined;

interface Kind {
  readonly kind: string;
  readonly group: string;
  readonly read: Read;
}

const ISTIO_NETWORKING = 'networking.istio.io';
const ISTIO_SECURITY = 'security.istio.io';
const GATEWAY_API = 'gateway.networking.k8s.io';

/** Of a name that two groups use, the first stands for a resource without apiVersion. */
const KINDS: readonly Kind[] = [
  { kind: 'Pod', group: '', read: readPod },
  { kind: 'Service', group: '', read: readService },
  { kind: 'EndpointSlice', group: 'discovery.k8s.io', read: readEndpointSlice },
  { kind: 'Node', group: '', read: readNode },
  { kind: 'Namespace', group: '', read: readNamespace },
  { kind: 'ServiceAccount', group: '', read: readServiceAccount },
  { kind: 'Secret', group: '', read: readSecret },
  { kind: 'NetworkPolicy', group: 'networking.k8s.io', read: readNetworkPolicy },
  { kind: 'AuthorizationPolicy', group: ISTIO_SECURITY, read: readAuthorizationPolicy },
  custom('PeerAuthentication', ISTIO_SECURITY),
  custom('RequestAuthentication', ISTIO_SECURITY),
  custom('VirtualService', ISTIO_NETWORKING),
  custom('DestinationRule', ISTIO_NETWORKING),
  custom('Gateway', ISTIO_NETWORKING),
  custom('ServiceEntry', ISTIO_NETWORKING),
  custom('WorkloadEntry', ISTIO_NETWORKING),
  custom('WorkloadGroup', ISTIO_NETWORKING),
  custom('Sidecar', ISTIO_NETWORKING),
  custom('Telemetry', 'telemetry.istio.io'),
  custom('GatewayClass', GATEWAY_API),
  custom('GatewayApiGateway', GATEWAY_API, 'Gateway'),
  custom('HTTPRoute', GATEWAY_API),
  custom('GRPCRoute', GATEWAY_API),
  custom('TCPRoute', GATEWAY_API),
  custom('TLSRoute', GATEWAY_API),
  custom('ReferenceGrant', GATEWAY_API),
];

function custom(type: CustomKind, group: string, kind: string = type): Kind {
  return {
    kind,
    group,
    read: (root, file, report, options) =>
      readCustomResource(type, group, root, { file, report, ...options }),
  };
}

/** `content` is the parsed YAML; a List is taken apart into its items. */
export function validateDocument(
  content: unknown,
  file: string,
  options: ValidateOptions = {},
): ValidatedDocument {
  const findings: Finding[] = [];
  const resources: Resource[] = [];
  const items = listItems(content);
  for (const item of items ?? [content]) readItem(item, file, options, resources, findings);
  return { resources, findings };
}

function listItems(content: unknown): readonly unknown[] | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { kind, items } = content as { kind?: unknown; items?: unknown };
  return kind === 'List' && Array.isArray(items) ? items : undefined;
}

function readItem(
  item: unknown,
  file: string,
  options: ValidateOptions,
  resources: Resource[],
  findings: Finding[],
): void {
  const resource = nameOf(item);
  const report = ({ severity = 'error', ...problem }: Problem): void => {
    findings.push({ ...problem, severity, file, resource });
  };
  const root = Fields.of(item, '', report);
  const kindName = root?.required('kind');
  if (root === undefined || kindName === undefined) return;
  const apiVersion = root.required('apiVersion');
  // A resource without apiVersion is reported and still read: skipping a policy would open what it closes.
  const kind = KINDS.find(
    (one) =>
      one.kind === kindName && (apiVersion === undefined || one.group === groupOf(apiVersion)),
  );
  if (kind === undefined) {
    report({
      code: 'KIND_UNKNOWN',
      severity: 'warning',
      path: 'kind',
      message: `${describe(kindName)} of ${describe(apiVersion)} is not used by podwire`,
      fix: `use one of: ${KINDS.map((one) => one.kind).join(', ')}`,
    });
    return;
  }
  const parsed = kind.read(root, file, report, options);
  if (parsed !== undefined) resources.push(parsed);
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
}

/** "Kind namespace/name" as far as it can be read, for findings. */
function nameOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return '';
  const { apiVersion, kind, metadata } = item as Readonly<Record<string, unknown>>;
  if (typeof kind !== 'string') return '';
  const group = groupOf(typeof apiVersion === 'string' ? apiVersion : '');
  const { name, namespace } = (metadata ?? {}) as { name?: unknown; namespace?: unknown };
  return resourceId(
    kind === 'Gateway' && group === GATEWAY_API ? idKind('GatewayApiGateway') : kind,
    typeof namespace === 'string' ? namespace : defaultNamespace(kind),
    typeof name === 'string' ? name : '?',
  );
}
