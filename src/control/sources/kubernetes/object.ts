/**
 * One object of an API server → resources and findings.
 *
 * What a pod's author writes into the API is not what root writes into the config folder: podwire.io/netns would let him
 * name somebody else's namespace, and is taken away before anything reads it.
 */
import type { Finding } from '../../../model/finding.ts';
import { NETNS_ANNOTATION } from '../../validate/annotations.ts';
import { validateDocument } from '../../validate/document.ts';
import type { OriginContent } from '../source.ts';
import { errorAbout } from './health.ts';
import type { KubernetesKind } from './kinds.ts';

/** As far as it is looked at here; the rest is the validator's. */
export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    managedFields?: unknown;
  };
  spec?: unknown;
  status?: unknown;
}

export interface ObjectPlace {
  readonly origin: string;
  readonly cluster: string;
  readonly network: string;
  readonly apiVersion: string;
  readonly kind: KubernetesKind;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** undefined: has no name, and cannot be used */
export function asObject(value: unknown): KubernetesObject | undefined {
  const metadata = (value as KubernetesObject | undefined)?.metadata;
  if (typeof metadata !== 'object' || metadata === null) return undefined;
  return typeof metadata.name === 'string' ? (value as KubernetesObject) : undefined;
}

/** undefined: has no part in the mesh (yet). */
export function contentOf(object: KubernetesObject, place: ObjectPlace): OriginContent | undefined {
  try {
    return validated(object, place);
  } catch (error) {
    // A reader that throws is a bug, and stops at the one object.
    const { namespace = '', name } = object.metadata;
    const id = `${place.kind.kind} ${namespace}/${name}`;
    const finding = errorAbout('OBJECT_UNREADABLE', place.origin, id, {
      message: `cannot be read: ${(error as Error).message}`,
      fix: 'report it with the object',
    });
    return { resources: [], findings: [finding] };
  }
}

function validated(object: KubernetesObject, place: ObjectPlace): OriginContent | undefined {
  const { origin, cluster, network } = place;
  const findings: Finding[] = [];
  // Items of a list name neither.
  object.kind = place.kind.kind;
  object.apiVersion = place.apiVersion;
  delete object.metadata.managedFields;
  const { annotations } = object.metadata as { annotations?: unknown };
  // Anything else is for the validator to say.
  if (isMapping(annotations)) {
    delete annotations[LAST_APPLIED];
    if (NETNS_ANNOTATION in annotations) {
      delete annotations[NETNS_ANNOTATION];
      findings.push(netnsIgnored(object, origin));
    }
  }
  if (place.kind.kind === 'Pod' && !hasAddress(object.status)) {
    return findings.length > 0 ? { resources: [], findings } : undefined;
  }
  const document = validateDocument(object, origin, { admitted: true });
  for (const finding of document.findings) {
    // A kind the validator does not read yet is no mistake of the object's author.
    if (finding.code !== 'KIND_UNKNOWN') findings.push(finding);
  }
  const resources = document.resources.map((resource) => ({ ...resource, cluster, network }));
  return resources.length + findings.length > 0 ? { resources, findings } : undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Scheduled, and not yet started: the update that brings the address is on its way. */
function hasAddress(status: unknown): boolean {
  const { podIP, podIPs } = (status ?? {}) as { podIP?: unknown; podIPs?: unknown };
  return (podIP !== undefined && podIP !== '') || (Array.isArray(podIPs) && podIPs.length > 0);
}

function netnsIgnored({ metadata }: KubernetesObject, origin: string): Finding {
  return {
    code: 'ANNOTATION_NOT_TRUSTED',
    severity: 'warning',
    file: origin,
    resource: `Pod ${metadata.namespace ?? ''}/${metadata.name}`,
    path: `metadata.annotations.'${NETNS_ANNOTATION}'`,
    message: 'is honoured from the config folder only and has no effect here',
    fix: 'remove the annotation',
  };
}
