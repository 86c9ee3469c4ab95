/**
 * What embedded control hands to the agent after every change.
 */
import type { EnrolledPod } from './enrolment.ts';
import type { Finding } from './finding.ts';
import type { MeshUpdate } from './messages.ts';

export interface ControlUpdate {
  /** both types are always there; their lists may be empty */
  readonly mesh: Required<MeshUpdate>;
  /** all of them, not a delta */
  readonly enrolled: readonly EnrolledPod[];
  /** all of them, not a delta */
  readonly findings: readonly Finding[];
}
