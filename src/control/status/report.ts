/**
 * What control has to say about one origin, and what of it goes into the status there.
 */
import type { Finding } from '../../model/finding.ts';
import type { ApiVerdict } from '../translate/l7/gateway-api/verdict.ts';

export interface StatusReport {
  readonly findings: readonly Finding[];
  /** of the Gateway API; undefined of all others, and of what validation has refused */
  readonly verdict: ApiVerdict | undefined;
}
