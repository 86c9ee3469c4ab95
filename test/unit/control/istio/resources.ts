/**
 * Resources of a mesh as YAML, for tests of what is wrong with them.
 */
import { parse, parseAllDocuments } from 'yaml';
import {
  validateDocument,
  type ValidatedDocument,
} from '../../../../src/control/validate/document.ts';

const API: Readonly<Record<string, string>> = {
  Service: 'v1',
  Namespace: 'v1',
  Secret: 'v1',
  Pod: 'v1',
  VirtualService: 'networking.istio.io/v1',
  DestinationRule: 'networking.istio.io/v1',
  Gateway: 'networking.istio.io/v1',
  ServiceEntry: 'networking.istio.io/v1',
  WorkloadEntry: 'networking.istio.io/v1',
  WorkloadGroup: 'networking.istio.io/v1',
  Sidecar: 'networking.istio.io/v1',
  PeerAuthentication: 'security.istio.io/v1',
  RequestAuthentication: 'security.istio.io/v1',
  AuthorizationPolicy: 'security.istio.io/v1',
  Telemetry: 'telemetry.istio.io/v1',
  ApiGateway: 'gateway.networking.k8s.io/v1',
  GatewayClass: 'gateway.networking.k8s.io/v1',
  HTTPRoute: 'gateway.networking.k8s.io/v1',
  GRPCRoute: 'gateway.networking.k8s.io/v1',
  TCPRoute: 'gateway.networking.k8s.io/v1alpha2',
  TLSRoute: 'gateway.networking.k8s.io/v1alpha2',
  ReferenceGrant: 'gateway.networking.k8s.io/v1beta1',
};

/** `spec`: YAML; a kind of ApiGateway is a Gateway of the Gateway API */
export function object(
  kind: string,
  spec: string,
  { name = 'x', namespace = 'shop' } = {},
): Record<string, unknown> {
  const clusterWide = kind === 'GatewayClass' || kind === 'Namespace';
  return {
    apiVersion: API[kind],
    kind: kind === 'ApiGateway' ? 'Gateway' : kind,
    metadata: { name, ...(!clusterWide && { namespace }) },
    spec: parse(spec) as unknown,
  };
}

export function validate(
  kind: string,
  spec: string,
  place?: { readonly name?: string; readonly namespace?: string },
): ValidatedDocument {
  return validateDocument(object(kind, spec, place), 'f.yaml');
}

/** Several documents, each complete. */
export function validateYaml(yaml: string, file = 'f.yaml'): ValidatedDocument {
  const all = parseAllDocuments(yaml).map((document) =>
    validateDocument(document.toJS() as unknown, file),
  );
  return {
    resources: all.flatMap(({ resources }) => resources),
    findings: all.flatMap(({ findings }) => findings),
  };
}

/** "CODE path" or, of a warning, "CODE? path" */
export function summary(findings: ValidatedDocument['findings']): string[] {
  return findings
    .map(({ code, severity, path }) => `${code}${severity === 'warning' ? '?' : ''} ${path}`)
    .sort();
}
