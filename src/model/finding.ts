/**
 * What validation has to say about one resource: the same shape for `podwire validate`, logs, status and tests.
 */
export const FINDING_CODES = [
  'FOLDER_UNREADABLE',
  'FOLDER_NOT_TRUSTED',
  'FILE_UNREADABLE',
  'FILE_NOT_TRUSTED',
  'FILE_TOO_LARGE',
  'YAML_INVALID',
  'KIND_UNKNOWN',
  'FIELD_MISSING',
  'FIELD_INVALID',
  'FIELD_UNKNOWN',
  'RESOURCE_DUPLICATE',
  'POD_NO_ADDRESS',
  'ADDRESS_CONFLICT',
  'NETNS_INVALID',
  'NETNS_CONFLICT',
  'NETNS_MISSING',
  'POD_NOT_CAPTURED',
  'ANNOTATION_INVALID',
  'ANNOTATION_UNKNOWN',
  'SELECTOR_MATCHES_NOTHING',
  'SERVICE_UNKNOWN',
  'TARGET_PORT_UNKNOWN',
  'POLICY_REFUSED',
  'POLICY_L7_IGNORED',
  'PROVIDER_UNKNOWN',
  'NOT_SUPPORTED',
  'FIELD_UNUSED',
  'REGEX_INVALID',
  'WEIGHTS_INVALID',
  'HOST_UNKNOWN',
  'SUBSET_UNKNOWN',
  'PORT_UNKNOWN',
  'GATEWAY_UNKNOWN',
  'SECRET_UNKNOWN',
  'REFERENCE_UNKNOWN',
  'REFERENCE_NOT_GRANTED',
  'HOST_CONFLICT',
  'SCOPE_CONFLICT',
  'ROUTE_UNREACHABLE',
  'ANNOTATION_NOT_TRUSTED',
  'CLUSTER_UNAVAILABLE',
  'KIND_FORBIDDEN',
  'REMOTE_CONFIG_UNUSED',
  'OBJECT_UNREADABLE',
  'DNS_UNAVAILABLE',
  'DNS_INVALID',
  'CERTIFICATE_UNAVAILABLE',
  'CRL_UNUSABLE',
  'FIELD_UNUSED',
  'HOST_UNKNOWN',
  'PORT_UNKNOWN',
  'GATEWAY_UNKNOWN',
  'SECRET_UNKNOWN',
  'REFERENCE_UNKNOWN',
  'REFERENCE_NOT_PERMITTED',
  'HOST_CONFLICT',
] as const;

export type FindingCode = (typeof FINDING_CODES)[number];

export interface Finding {
  readonly code: FindingCode;
  readonly severity: 'error' | 'warning';
  /** file name inside the folder */
  readonly file: string;
  /** "Kind namespace/name"; "" when the file as a whole is meant */
  readonly resource: string;
  /** field, e.g. "spec.ports[0].port"; "" when the resource as a whole is meant */
  readonly path: string;
  readonly message: string;
  /** what the operator can do */
  readonly fix: string;
}

/** For sorting: by file, resource, field. */
export function byPlace(a: Finding, b: Finding): number {
  const left = `${a.file}\n${a.resource}\n${a.path}\n${a.code}`;
  const right = `${b.file}\n${b.resource}\n${b.path}\n${b.code}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** One line for a log or a terminal. */
export function formatFinding(finding: Finding): string {
  const where = [finding.file, finding.resource, finding.path].filter((part) => part !== '');
  return `${where.join(': ')}: ${finding.message} (${finding.fix})`;
}
