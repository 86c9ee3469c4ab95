/**
 * Resources of Istio's and the Gateway API's CRDs → typed resources: schema, then what the schema does not say, then what
 * podwire does not honour.
 *
 * One that is invalid is left out whole, as an API server would refuse it whole.  A security resource is not left out but
 * closes what it was to protect.
 */
import type { PolicyTarget, Resource, ResourceMeta } from '../../model/resource.ts';
import type { SpecResource } from '../../model/resource/spec.ts';
import { crdSchema, type CrdSchema } from '../schema/crd-schema.ts';
import { closedPolicy } from './authorization-policy.ts';
import { describe, type Fields, type Problem, type Report } from './fields.ts';
import { checkGrpcApiRoute, checkHttpApiRoute, checkL4ApiRoute } from './gateway-api/route.ts';
import { checkDestinationRule } from './istio/destination-rule.ts';
import { checkGateway } from './istio/gateway.ts';
import { checkRequestAuthentication } from './istio/security.ts';
import {
  checkServiceEntry,
  checkWorkloadEntry,
  checkWorkloadGroup,
} from './istio/service-entry.ts';
import { checkSidecar } from './istio/sidecar.ts';
import { checkTelemetry } from './istio/telemetry.ts';
import { checkVirtualService } from './istio/virtual-service.ts';
import { withoutNulls } from './json.ts';
import { readMetadata } from './metadata.ts';
import { SpecReport } from './spec-report.ts';
import { unsupportedFields, type CustomKind } from './supported.ts';

type CustomResource = Extract<Resource, { readonly spec: unknown }>;
type SpecOf<K extends CustomKind> =
  Extract<CustomResource, { readonly kind: K }> extends SpecResource<K, infer S> ? S : never;
/** What the schema does not say; undefined: it says everything. */
type Checks = {
  readonly [K in CustomKind]: ((spec: SpecOf<K>, report: SpecReport) => void) | undefined;
};

const CHECKS: Checks = {
  VirtualService: checkVirtualService,
  DestinationRule: checkDestinationRule,
  Gateway: checkGateway,
  ServiceEntry: checkServiceEntry,
  WorkloadEntry: checkWorkloadEntry,
  WorkloadGroup: checkWorkloadGroup,
  Sidecar: checkSidecar,
  PeerAuthentication: undefined,
  RequestAuthentication: checkRequestAuthentication,
  Telemetry: checkTelemetry,
  GatewayClass: undefined,
  GatewayApiGateway: undefined,
  HTTPRoute: checkHttpApiRoute,
  GRPCRoute: checkGrpcApiRoute,
  TCPRoute: checkL4ApiRoute,
  TLSRoute: checkL4ApiRoute,
  ReferenceGrant: undefined,
};

const SECURITY: readonly CustomKind[] = ['PeerAuthentication', 'RequestAuthentication'];
const ROOT_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];
const CLOSED = 'it is refused and every connection to the pods it selects is denied';

/** In YAML both are called Gateway; ids tell them apart as kubectl does. */
export function idKind(kind: CustomKind): string {
  return kind === 'GatewayApiGateway' ? 'Gateway.gateway.networking.k8s.io' : kind;
}

export interface ValidateOptions {
  /**
   * An API server has taken it: a field that is not known here belongs to a newer CRD, and is told without refusing the
   * rest.
   */
  readonly admitted?: boolean;
}

interface ReadContext extends ValidateOptions {
  readonly file: string;
  readonly report: Report;
}

export function readCustomResource(
  kind: CustomKind,
  group: string,
  root: Fields,
  { file, report, admitted = false }: ReadContext,
): Resource | undefined {
  const metadata = readMetadata(root, idKind(kind), file);
  if (metadata === undefined) return undefined;
  const security = SECURITY.includes(kind);
  let invalid = false;
  const unknown = new Set<string>();
  const count = (problem: Problem): void => {
    if (problem.severity === 'warning') return report(problem);
    if (problem.code === 'FIELD_UNKNOWN' && admitted && !security) {
      unknown.add(problem.path);
      return report({ ...problem, severity: 'warning' });
    }
    invalid = true;
    report(
      security
        ? { ...problem, code: 'POLICY_REFUSED', message: `${problem.message}; ${CLOSED}` }
        : problem,
    );
  };
  const schema = crdSchema(group, kind === 'GatewayApiGateway' ? 'Gateway' : kind);
  checkRoot(root, schema, count);
  const spec = withoutNulls(root.raw('spec') ?? {});
  for (const problem of schema.check(spec)) count(problem);
  if (!invalid) {
    const check = CHECKS[kind] as ((spec: unknown, report: SpecReport) => void) | undefined;
    check?.(spec, new SpecReport(count));
    for (const path of unsupportedFields(kind, spec as object)) {
      if (!unknown.has(path)) count(notSupported(path, security));
    }
  }
  if (!invalid) return { ...metadata.meta, kind, spec } as CustomResource;
  return security ? closedBy(metadata.meta, spec) : undefined;
}

function checkRoot(root: Fields, { versions }: CrdSchema, report: Report): void {
  for (const key of root.keys()) {
    if (ROOT_FIELDS.includes(key)) continue;
    const fix = `use one of: ${ROOT_FIELDS.join(', ')}`;
    report({ code: 'FIELD_UNKNOWN', path: key, message: 'is no known field', fix });
  }
  const version = String(root.raw('apiVersion') ?? '').split('/')[1] ?? '';
  if (versions.includes(version)) return;
  report({
    code: 'FIELD_INVALID',
    path: 'apiVersion',
    message: `${describe(version)} is no version of this kind`,
    fix: `use one of: ${versions.join(', ')}`,
  });
}

/** A setting of a security resource that has no effect leaves open what it was to close. */
function notSupported(path: string, security: boolean): Problem {
  return {
    code: 'NOT_SUPPORTED',
    severity: security ? 'error' : 'warning',
    path,
    message: 'is not supported and has no effect',
    fix: 'remove it, or accept that it has no effect',
  };
}

/** A selector that cannot be read selects the whole namespace: closed is better than open. */
function closedBy(meta: ResourceMeta, spec: unknown): Resource {
  const { selector } = (spec ?? {}) as { selector?: { matchLabels?: unknown } };
  const { matchLabels } = typeof selector === 'object' ? selector : {};
  const labels = new Map<string, string>();
  if (typeof matchLabels === 'object' && matchLabels !== null) {
    for (const [key, value] of Object.entries(matchLabels)) {
      if (typeof value !== 'string') return closedPolicy(named(meta), { type: 'all' });
      labels.set(key, value);
    }
  }
  const target: PolicyTarget = labels.size > 0 ? { type: 'labels', labels } : { type: 'all' };
  return closedPolicy(named(meta), target);
}

/** Two kinds may use one name; their policies must not be one. "_" is illegal in the names of resources. */
function named(meta: ResourceMeta): ResourceMeta {
  const kind = meta.id.slice(0, meta.id.indexOf(' '));
  return { ...meta, name: `${kind}_${meta.name}` };
}
