/**
 * Findings → the conditions that Istio and Gateway API resources carry in their status.
 *
 * Conditions of other controllers are left as they are; lastTransitionTime changes only with the status itself.
 */
import { equal } from '../../model/equal.ts';
import type { Finding } from '../../model/finding.ts';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

type Wanted = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

/** metav1.Condition allows 32 KiB; a page is more than anybody reads. */
const MAX_MESSAGE_LENGTH = 2048;
/** About something else that the resource names, and that is not there or not allowed. */
const ABOUT_REFERENCES = /^(?!KIND_|FIELD_|ANNOTATION_).*_(UNKNOWN|NOT_FOUND|NOT_PERMITTED)$/;

export function istioConditions(findings: readonly Finding[]): Wanted[] {
  return [condition('Reconciled', findings, ['Reconciled', 'Invalid'])];
}

export function gatewayConditions(findings: readonly Finding[]): Wanted[] {
  return [
    condition('Accepted', withoutReferences(findings), ['Accepted', 'Invalid']),
    condition('Programmed', findings, ['Programmed', 'Invalid']),
  ];
}

export function gatewayClassConditions(findings: readonly Finding[]): Wanted[] {
  return [condition('Accepted', findings, ['Accepted', 'Unsupported'])];
}

export function routeConditions(findings: readonly Finding[]): Wanted[] {
  const references = findings.filter(({ code }) => ABOUT_REFERENCES.test(code));
  const permitted = !references.some(({ code }) => (code as string).endsWith('NOT_PERMITTED'));
  return [
    condition('Accepted', withoutReferences(findings), ['Accepted', 'UnsupportedValue']),
    condition('ResolvedRefs', asErrors(references), [
      'ResolvedRefs',
      permitted ? 'BackendNotFound' : 'RefNotPermitted',
    ]),
  ];
}

function withoutReferences(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ code }) => !ABOUT_REFERENCES.test(code));
}

/** A reference that leads nowhere may be a warning for the mesh; for ResolvedRefs it is the question itself. */
function asErrors(findings: readonly Finding[]): readonly Finding[] {
  return findings.map((finding) => ({ ...finding, severity: 'error' }));
}

function condition(
  type: string,
  findings: readonly Finding[],
  [good, bad]: readonly [string, string],
): Wanted {
  const ok = findings.every(({ severity }) => severity !== 'error');
  return { type, status: ok ? 'True' : 'False', reason: ok ? good : bad, message: text(findings) };
}

/** Errors first; the same text for the same findings. */
function text(findings: readonly Finding[]): string {
  const lines = findings
    .toSorted((a, b) => rank(a) - rank(b))
    .map(
      ({ code, path, message, fix }) =>
        `${[code, path].filter(Boolean).join(' ')}: ${message} (${fix})`,
    );
  const all = lines.join('; ');
  return all.length > MAX_MESSAGE_LENGTH ? `${all.slice(0, MAX_MESSAGE_LENGTH - 3)}...` : all;
}

function rank({ severity }: Finding): number {
  return severity === 'error' ? 0 : 1;
}

/** The list with the wanted conditions in it; undefined: it says so already. */
export function mergeConditions(
  present: readonly Condition[],
  wanted: readonly Wanted[],
  generation: number | undefined,
  now: string,
): readonly Condition[] | undefined {
  const merged = [...present];
  for (const one of wanted) {
    const at = merged.findIndex(({ type }) => type === one.type);
    const before = at < 0 ? undefined : merged[at];
    const lastTransitionTime = before?.status === one.status ? before.lastTransitionTime : now;
    const observed = generation === undefined ? {} : { observedGeneration: generation };
    const after: Condition = { ...one, lastTransitionTime, ...observed };
    if (at < 0) merged.push(after);
    else merged[at] = { ...before, ...after };
  }
  return equal(merged, present) ? undefined : merged;
}
