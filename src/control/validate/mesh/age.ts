/**
 * Istio's order between resources that want the same: the older first, then by name.
 */
import type { Resource } from '../../../model/resource.ts';

export function isBefore(a: Resource, b: Resource): boolean {
  // What a file holds has no age and is as old as anything else of its kind there.
  const [left, right] = [a.createdAt ?? 0, b.createdAt ?? 0];
  if (left !== right) return left < right;
  return `${a.name}.${a.namespace}` < `${b.name}.${b.namespace}`;
}

/** Whether some namespace sees both. */
export function exportsMeet(a: Exported, b: Exported): boolean {
  const left = exportsOf(a);
  const right = exportsOf(b);
  if (left.has('*') || right.has('*')) return left.size > 0 && right.size > 0;
  return [...left].some((namespace) => right.has(namespace));
}

interface Exported {
  readonly namespace: string;
  readonly spec: { readonly exportTo?: readonly string[] };
}

function exportsOf({ namespace, spec }: Exported): Set<string> {
  const list = spec.exportTo === undefined || spec.exportTo.length === 0 ? ['*'] : spec.exportTo;
  return new Set(
    list.filter((item) => item !== '~').map((item) => (item === '.' ? namespace : item)),
  );
}
