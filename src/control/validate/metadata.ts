/**
 * metadata of any resource: identity, labels, annotations.
 */
import type { ResourceMeta } from '../../model/resource.ts';
import type { Fields } from './fields.ts';

export interface Metadata {
  readonly meta: ResourceMeta;
  readonly fields: Fields;
  readonly annotations: Fields;
}

const CLUSTER_SCOPED = ['Namespace', 'Node'];
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** undefined, and reported, when the resource has no usable name. */
export function readMetadata(root: Fields, kind: string, file: string): Metadata | undefined {
  const fields = root.mapping('metadata');
  const name = readName(fields, 'name', NAME);
  const namespace = fields.has('namespace')
    ? readName(fields, 'namespace', LABEL)
    : defaultNamespace(kind);
  if (name === undefined || namespace === undefined) return undefined;
  return {
    meta: {
      id: resourceId(kind, namespace, name),
      file,
      namespace,
      name,
      labels: fields.stringMap('labels'),
    },
    fields,
    annotations: fields.mapping('annotations'),
  };
}

/** "Kind namespace/name", or "Kind name" of what belongs to no namespace */
export function resourceId(kind: string, namespace: string, name: string): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

/** Of a resource that names none; "" where there is none to name. */
export function defaultNamespace(kind: string): string {
  return CLUSTER_SCOPED.includes(kind) ? '' : 'default';
}

function readName(fields: Fields, key: string, pattern: RegExp): string | undefined {
  const name = fields.required(key);
  if (name === undefined || pattern.test(name)) return name;
  fields.invalid(
    key,
    `${JSON.stringify(name)} is no Kubernetes name`,
    'use lower-case letters, digits and "-"',
  );
  return undefined;
}
