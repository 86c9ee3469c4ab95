/**
 * What embedded control hands to the agent after every change.
 */
import type { EnrolledPod } from './enrolment.ts';
import type { Finding } from './finding.ts';
import type { L4Update } from './messages.ts';

export interface ControlUpdate {
  /** the lists may be empty */
  readonly mesh: L4Update;
  /** all of them, not a delta */
  readonly enrolled: readonly EnrolledPod[];
  /** all of them, not a delta */
  readonly findings: readonly Finding[];
}
