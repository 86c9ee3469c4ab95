/**
 * What podwire makes of a Gateway API resource: findings and statuses both say what stands here, and nothing judges again.
 */
import type { Finding } from '../../../../model/finding.ts';
import type { ReachableAddress, ResourceMeta } from '../../../../model/resource.ts';
import type { ParentReference } from '../../../../model/resource/gateway-api.ts';

/** One condition. */
export interface Verdict {
  readonly ok: boolean;
  readonly reason: string;
  readonly message: string;
}

export type ApiVerdict = RouteVerdict | GatewayVerdict | ClassVerdict | ForeignVerdict;

interface Judged {
  /** where the resource is from */
  readonly origin: string;
  /** metadata.generation of what was judged, which a file need not have */
  readonly generation: number | undefined;
}

export interface ClassVerdict extends Judged {
  readonly kind: 'class';
}

/** A Gateway or a GatewayClass of another controller. */
export interface ForeignVerdict extends Judged {
  readonly kind: 'foreign';
}

export interface RouteVerdict extends Judged {
  readonly kind: 'route';
  /** those that are podwire's */
  readonly parents: readonly ParentVerdict[];
  /** all there is to say */
  readonly findings: readonly Finding[];
  /** those of them that resolvedRefs is about */
  readonly references: readonly Finding[];
}

export interface ParentVerdict {
  readonly parentRef: ParentReference;
  /** in spec.parentRefs */
  readonly index: number;
  readonly accepted: Verdict;
  readonly resolvedRefs: Verdict;
  /** present: some rules are carried out and others are not */
  readonly partiallyInvalid: Verdict | undefined;
}

export interface GatewayVerdict extends Judged {
  readonly kind: 'gateway';
  readonly accepted: Verdict;
  readonly programmed: Verdict;
  /** where clients find it, as far as that is known */
  readonly addresses: readonly ReachableAddress[];
  /** as in spec.listeners */
  readonly listeners: readonly ListenerVerdict[];
  /** those that a listener's resolvedRefs is about */
  readonly references: readonly Finding[];
}

export interface ListenerVerdict {
  readonly name: string;
  /** also those that an older route is in the way of */
  readonly attachedRoutes: number;
  /** of API_GROUP */
  readonly supportedKinds: readonly string[];
  readonly accepted: Verdict;
  /** ok: there is none */
  readonly conflicted: Verdict;
  readonly resolvedRefs: Verdict;
  readonly programmed: Verdict;
  /** present: other HTTPS listeners of the port have host names in common with it */
  readonly overlappingTls: Verdict | undefined;
}

export function judged({ file, generation }: ResourceMeta): Judged {
  return { origin: file, generation };
}

export function yes(reason: string): Verdict {
  return { ok: true, reason, message: '' };
}

export function no(reason: string, message: string): Verdict {
  return { ok: false, reason, message };
}
