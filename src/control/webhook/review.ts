/**
 * AdmissionReview (admission.k8s.io/v1): what `podwire validate` would say, as the API server wants to hear it.
 *
 * A resource that is wrong by itself is denied.  What does not fit the rest of the mesh is a warning: the rest may come
 * later, or may come at once from another hand.
 */
import { formatFinding, type Finding } from '../../model/finding.ts';
import type { Resource } from '../../model/resource.ts';
import { validateDocument } from '../validate/document.ts';

export interface ReviewContext {
  /** of the cluster whose API server asks; as its source writes it into resources */
  readonly cluster: string | undefined;
  /** what the other resources have to say: ControlCore.preview */
  readonly preview: (resource: Resource) => readonly Finding[];
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
  readonly warnings?: readonly string[];
}

export interface AdmissionReview {
  readonly apiVersion: 'admission.k8s.io/v1';
  readonly kind: 'AdmissionReview';
  readonly response: AdmissionResponse;
}

interface AdmissionRequest {
  readonly uid: string;
  readonly operation?: unknown;
  readonly namespace?: unknown;
  readonly name?: unknown;
  readonly object?: unknown;
}

/** The API server cuts longer ones, and all after 4096 characters. */
const MAX_WARNING = 256;
const MAX_WARNINGS = 16;
/** Kinds whose schema is Kubernetes' own business. */
const OWN_GROUPS = /\.(istio|k8s)\.io\//;
/** generateName has no name yet */
const UNNAMED = 'unnamed';

/** undefined: no AdmissionReview */
export function review(body: unknown, context: ReviewContext): AdmissionReview | undefined {
  const request = requestOf(body);
  if (request === undefined) return undefined;
  const response = request.operation === 'DELETE' ? allow(request.uid) : judge(request, context);
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

function requestOf(body: unknown): AdmissionRequest | undefined {
  const { apiVersion, kind, request } = asRecord(body) ?? {};
  if (apiVersion !== 'admission.k8s.io/v1' || kind !== 'AdmissionReview') return undefined;
  const fields = asRecord(request);
  const uid = fields?.['uid'];
  return typeof uid === 'string' && uid !== '' ? { ...fields, uid } : undefined;
}

function judge(request: AdmissionRequest, context: ReviewContext): AdmissionResponse {
  const { uid } = request;
  const object = namedObject(request);
  const apiVersion = object?.['apiVersion'];
  if (object === undefined || typeof apiVersion !== 'string' || !OWN_GROUPS.test(apiVersion)) {
    return allow(uid);
  }
  const { resources, findings } = validateDocument(object, '');
  const errors = findings.filter(
    ({ severity, code }) => severity === 'error' && code !== 'KIND_UNKNOWN',
  );
  const warnings = findings.filter(({ severity }) => severity === 'warning');
  if (errors.length > 0) {
    const message = errors.map(formatFinding).join('; ');
    return {
      ...allow(uid, warnings),
      allowed: false,
      status: { code: 422, reason: 'Invalid', message },
    };
  }
  const { cluster } = context;
  for (const resource of resources) {
    warnings.push(...context.preview(cluster === undefined ? resource : { ...resource, cluster }));
  }
  return allow(uid, warnings);
}

/** With the namespace and name of the request, where the object does not carry them yet. */
function namedObject({
  object,
  namespace,
  name,
}: AdmissionRequest): Record<string, unknown> | undefined {
  const fields = asRecord(object);
  if (fields === undefined) return undefined;
  const metadata = asRecord(fields['metadata']) ?? {};
  const place = typeof namespace === 'string' && namespace !== '' ? { namespace } : {};
  const given = typeof name === 'string' && name !== '' ? name : UNNAMED;
  return { ...fields, metadata: { name: given, ...place, ...metadata } };
}

function allow(uid: string, findings: readonly Finding[] = []): AdmissionResponse {
  const lines = findings.map((finding) => formatFinding(finding).slice(0, MAX_WARNING));
  const more = lines.length - MAX_WARNINGS;
  const warnings = more > 0 ? [...lines.slice(0, MAX_WARNINGS), `and ${more} more`] : lines;
  return { uid, allowed: true, ...(warnings.length > 0 && { warnings }) };
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
