/**
 * What the L7 translation has to say about a resource.
 */
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';

/** It has no effect, or nothing is let through where that would be less safe. */
export function notSupported(
  { file, id }: Resource,
  path: string,
  what: string,
  fix = 'remove it, or accept that it has no effect',
): Finding {
  return {
    code: 'NOT_SUPPORTED',
    severity: 'warning',
    file,
    resource: id,
    path,
    message: `${what} is not supported`,
    fix,
  };
}
