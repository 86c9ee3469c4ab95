/**
 * Plain values as YAML and JSON give them.
 */

/** A copy without keys that are null: YAML writes "nothing here" so, and readers see an absent field. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item !== null) define(copy, key, withoutNulls(item));
  }
  return copy;
}

/** Also for "__proto__", which plain assignment takes for the prototype. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true });
}
