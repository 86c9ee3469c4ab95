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

/** All names that cover the host, the most specific first: itself, "*.suffix" from long to short, "*". */
export function* coveringNames(host: string): IterableIterator<string> {
  yield host;
  if (host === EVERY_HOST) return;
  const start = host.startsWith('*.') ? 2 : 0;
  for (let dot = host.indexOf('.', start); dot >= 0; dot = host.indexOf('.', dot + 1)) {
    yield `*${host.slice(dot)}`;
  }
  yield EVERY_HOST;
}

/** Of the names that cover the host the most specific one. */
export function mostSpecific(host: string, names: readonly string[]): string | undefined {
  for (const covering of coveringNames(host)) if (names.includes(covering)) return covering;
  return undefined;
}
