/**
 * exportTo: which namespaces see a resource.  None named, or "*": all; ".": its own; "~": none.
 */
interface Exported {
  readonly namespace: string;
  readonly spec: { readonly exportTo?: readonly string[] };
}

export function isVisible(
  namespace: string,
  owner: string,
  exportTo: readonly string[] | undefined,
): boolean {
  const namespaces = exportsOf({ namespace: owner, spec: exportTo ? { exportTo } : {} });
  return namespaces.has('*') || namespaces.has(namespace);
}

/** Whether some namespace sees both. */
export function exportsMeet(a: Exported, b: Exported): boolean {
  const left = exportsOf(a);
  const right = exportsOf(b);
  if (left.has('*') || right.has('*')) return left.size > 0 && right.size > 0;
  return [...left].some((namespace) => right.has(namespace));
}

function exportsOf({ namespace, spec }: Exported): Set<string> {
  const list = spec.exportTo === undefined || spec.exportTo.length === 0 ? ['*'] : spec.exportTo;
  return new Set(
    list.filter((item) => item !== '~').map((item) => (item === '.' ? namespace : item)),
  );
}
