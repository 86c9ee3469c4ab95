/**
 * What embedded control hands to the agent after every change.
 */
import type { NodeEnrolment } from './enrolment.ts';
import type { Finding } from './finding.ts';
import type { L4Update } from './messages.ts';

export interface ControlUpdate {
  /** the lists may be empty */
  readonly mesh: L4Update;
  readonly enrolled: NodeEnrolment;
  /** all of them, not a delta */
  readonly findings: readonly Finding[];
}
