/**
 * Host names of listeners and routes: exact, or "*." and what stands behind any number of labels; "*" is every host.
 */
export const EVERY_HOST = '*';

export function covers(pattern: string, host: string): boolean {
  if (pattern === EVERY_HOST || pattern === host) return true;
  return pattern.startsWith('*.') && host.length > pattern.length - 1 && endsLike(host, pattern);
}

function endsLike(host: string, pattern: string): boolean {
  return host.endsWith(pattern.slice(1));
}

/** What both have in common; empty: nothing.  An absent name, or none, is every host. */
export function intersection(
  listener: string | undefined,
  route: readonly string[] | undefined,
): string[] {
  const outer = (listener || EVERY_HOST).toLowerCase();
  if (route === undefined || route.length === 0) return [outer];
  const common = route.flatMap((name) => {
    const host = name.toLowerCase();
    if (covers(outer, host)) return [host];
    return covers(host, outer) ? [outer] : [];
  });
  return [...new Set(common)];
}

/** Whether a name exists that both mean. */
export function overlap(a: readonly string[], b: readonly string[]): boolean {
  return a.some((one) => b.some((other) => covers(one, other) || covers(other, one)));
}

/** The more specific name first: exact before wildcard, then the longer one. */
export function bySpecificity(a: string, b: string): number {
  return (
    exactLength(b) - exactLength(a) || lengthOf(b) - lengthOf(a) || (a < b ? -1 : a > b ? 1 : 0)
  );
}

function exactLength(host: string): number {
  return host.startsWith('*') ? 0 : host.length;
}

function lengthOf(host: string): number {
  return host === EVERY_HOST ? 0 : host.length;
}

/** Of the names that cover the host the most specific one. */
export function mostSpecific(host: string, names: readonly string[]): string | undefined {
  return names.filter((name) => covers(name, host)).toSorted(bySpecificity)[0];
}
