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
