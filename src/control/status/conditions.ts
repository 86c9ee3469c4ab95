/**
 * Conditions in a status: those of other controllers are left as they are, and lastTransitionTime changes only with the
 * status itself.
 */
import type { Finding } from '../../model/finding.ts';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

export type WantedCondition = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** What every condition that is written now has in common. */
export interface Observation {
  readonly generation: number | undefined;
  /** metav1.Time */
  readonly now: string;
}

/** metav1.Condition allows 32 KiB; a page is more than anybody reads. */
const MAX_MESSAGE_LENGTH = 2048;

/** Of a resource of Istio. */
export function reconciled(findings: readonly Finding[]): WantedCondition {
  const ok = findings.every(({ severity }) => severity !== 'error');
  return condition('Reconciled', ok, ok ? 'Reconciled' : 'Invalid', findingsText(findings));
}

export function condition(
  type: string,
  ok: boolean,
  reason: string,
  message: string,
): WantedCondition {
  const text =
    message.length > MAX_MESSAGE_LENGTH
      ? `${message.slice(0, MAX_MESSAGE_LENGTH - 3)}...`
      : message;
  return { type, status: ok ? 'True' : 'False', reason, message: text };
}

/** Errors first; the same text for the same findings. */
export function findingsText(findings: readonly Finding[]): string {
  return findings
    .toSorted((a, b) => rank(a) - rank(b))
    .map(
      ({ code, path, message, fix }) =>
        `${[code, path].filter(Boolean).join(' ')}: ${message} (${fix})`,
    )
    .join('; ');
}

function rank({ severity }: Finding): number {
  return severity === 'error' ? 0 : 1;
}

/** The list with the wanted conditions in it.  `passing`: types of podwire's that are there only while they are wanted */
export function mergeConditions(
  present: readonly Condition[],
  wanted: readonly WantedCondition[],
  { generation, now }: Observation,
  passing: readonly string[] = [],
): readonly Condition[] {
  const merged = present.filter(
    ({ type }) => !passing.includes(type) || wanted.some((one) => one.type === type),
  );
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  for (const one of wanted) {
    const at = merged.findIndex(({ type }) => type === one.type);
    const before = at < 0 ? undefined : merged[at];
    const lastTransitionTime = before?.status === one.status ? before.lastTransitionTime : now;
    const after: Condition = { ...one, lastTransitionTime, ...observed };
    if (at < 0) merged.push(after);
    else merged[at] = { ...before, ...after };
  }
  return merged;
}
