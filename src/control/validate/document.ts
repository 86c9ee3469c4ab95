/**
 * One YAML document → resources and findings: the dispatch by apiVersion and kind.
 */
import type { Finding } from '../../model/finding.ts';
import type { Resource } from '../../model/resource.ts';
import { readAuthorizationPolicy } from './authorization-policy.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { describe, Fields, type Problem } from './fields.ts';
import { defaultNamespace, resourceId } from './metadata.ts';
import { readNode } from './node.ts';
import { readPod } from './pod.ts';
import { readService } from './service.ts';

export interface ValidatedDocument {
  readonly resources: readonly Resource[];
  readonly findings: readonly Finding[];
}

type Report = (problem: Problem) => void;
type Read = (root: Fields, file: string, report: Report) => Resource | undefined;

interface Kind {
  readonly group: string;
  /** undefined: known, and nothing in it matters here */
  readonly read: Read | undefined;
}

const KINDS: Readonly<Record<string, Kind>> = {
  Pod: { group: '', read: readPod },
  Service: { group: '', read: readService },
  EndpointSlice: { group: 'discovery.k8s.io', read: readEndpointSlice },
  AuthorizationPolicy: { group: 'security.istio.io', read: readAuthorizationPolicy },
  PeerAuthentication: { group: 'security.istio.io', read: warnPeerAuthentication },
  Node: { group: '', read: readNode },
  Namespace: { group: '', read: undefined },
  ServiceAccount: { group: '', read: undefined },
};

/** `content` is the parsed YAML; a List is taken apart into its items. */
export function validateDocument(content: unknown, file: string): ValidatedDocument {
  const findings: Finding[] = [];
  const resources: Resource[] = [];
  const items = listItems(content);
  for (const item of items ?? [content]) readItem(item, file, resources, findings);
  return { resources, findings };
}

function listItems(content: unknown): readonly unknown[] | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { kind, items } = content as { kind?: unknown; items?: unknown };
  return kind === 'List' && Array.isArray(items) ? items : undefined;
}

function readItem(item: unknown, file: string, resources: Resource[], findings: Finding[]): void {
  const resource = nameOf(item);
  const report = ({ severity = 'error', ...problem }: Problem): void => {
    findings.push({ ...problem, severity, file, resource });
  };
  const root = Fields.of(item, '', report);
  const kindName = root?.required('kind');
  if (root === undefined || kindName === undefined) return;
  const kind = Object.hasOwn(KINDS, kindName) ? KINDS[kindName] : undefined;
  const apiVersion = root.required('apiVersion');
  const group = apiVersion?.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  // A resource without apiVersion is reported and still read: skipping a policy would open what it closes.
  if (kind === undefined || (apiVersion !== undefined && group !== kind.group)) {
    report({
      code: 'KIND_UNKNOWN',
      severity: 'warning',
      path: 'kind',
      message: `${describe(kindName)} of ${describe(apiVersion)} is not used by podwire`,
      fix: `use one of: ${Object.keys(KINDS).join(', ')}`,
    });
    return;
  }
  const parsed = kind.read?.(root, file, report);
  if (parsed !== undefined) resources.push(parsed);
}

function warnPeerAuthentication(root: Fields): undefined {
  const spec = root.mapping('spec');
  const modes = [
    spec.mapping('mtls').string('mode'),
    ...spec
      .mapping('portLevelMtls')
      .keys()
      .map((port) => spec.mapping('portLevelMtls').mapping(port).string('mode')),
  ];
  if (!modes.includes('STRICT')) return;
  spec.report({
    code: 'NOT_SUPPORTED',
    severity: 'warning',
    key: 'mtls.mode',
    message: 'STRICT is not supported yet: connections without identity are not refused',
    fix: 'deny them with an AuthorizationPolicy: action DENY, source notPrincipals ["*"]',
  });
}

/** "Kind namespace/name" as far as it can be read, for findings. */
function nameOf(item: unknown): string {
  if (typeof item !== 'object' || item === null) return '';
  const { kind, metadata } = item as { kind?: unknown; metadata?: unknown };
  if (typeof kind !== 'string') return '';
  const { name, namespace } = (metadata ?? {}) as { name?: unknown; namespace?: unknown };
  return resourceId(
    kind,
    typeof namespace === 'string' ? namespace : defaultNamespace(kind),
    typeof name === 'string' ? name : '?',
  );
}
