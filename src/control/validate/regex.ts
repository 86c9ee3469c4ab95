/**
 * Regular expressions of routes: RE2, as the proxy runs them.
 */
import { RE2JS } from 're2js';

/** As Istio: a program grows with its pattern. */
const MAX_LENGTH = 1024;

/** Why the pattern cannot be used; undefined: it can. */
export function checkRegex(pattern: string): string | undefined {
  if (pattern.length > MAX_LENGTH) return `it has more than ${MAX_LENGTH} characters`;
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (err) {
    return err instanceof Error ? err.message : 'it does not compile';
  }
}
