/**
 * Who may read spliced bytes: the rules of "observe, then splice", pure.
 *
 * Absence of evidence is no proof (HAProxy's splice-auto shows itself only under load), so the rules are deny-first,
 * the stall detector stands behind them, and Go, whose io.Copy splices where nobody expects it, is watched longer.
 */
import type { Executable } from './executable.ts';

/** What the kernel saw: names and order of enum behaviour (bpf/abi.h), as literal types. */
export const BEHAVIOUR_NAMES = [
  'splice-out',
  'tee-vmsplice',
  'waitall',
  'trunc',
  'oob',
  'io-uring',
  'socket-option',
  'blocking-duplex',
] as const;
export type BehaviourName = (typeof BEHAVIOUR_NAMES)[number];

export type DenyReason = BehaviourName | 'deny-list' | 'imports-splice' | 'stalled-reader';

export interface Evidence {
  /** undefined: its file could not be read yet */
  readonly executable: Executable | undefined;
  /** the subject is one program of an interpreter: its key carries the hash of its arguments */
  readonly hasArguments: boolean;
  readonly behaviours: ReadonlySet<BehaviourName>;
  /** plain connections that received data while the observer was attached */
  readonly quietConnections: number;
  /** how long the observer was attached while this was being learnt */
  readonly observedMs: number;
}

export type TrustDecision =
  | { readonly state: 'observing' }
  | { readonly state: 'interpreter' }
  | { readonly state: 'trusted' }
  | { readonly state: 'denied'; readonly reason: DenyReason };

export interface TrustLimits {
  readonly quietConnections: number;
  readonly observedMs: number;
  readonly goQuietConnections: number;
  readonly goObservedMs: number;
  /** executables that are never spliced, by file name */
  readonly denyList: ReadonlySet<string>;
}

export const DEFAULT_TRUST_LIMITS: TrustLimits = {
  quietConnections: 3,
  observedMs: 3_000,
  goQuietConnections: 20,
  goObservedMs: 10_000,
  denyList: new Set(['haproxy', 'systemd-socket-proxyd', '3proxy', 'realm', 'redsocks']),
};

const OBSERVING: TrustDecision = { state: 'observing' };

export function decideTrust(evidence: Evidence, limits: TrustLimits): TrustDecision {
  const { executable, behaviours } = evidence;
  if (executable !== undefined && limits.denyList.has(executable.name)) {
    return { state: 'denied', reason: 'deny-list' };
  }
  // before behaviours: what one program did says nothing of the interpreter's others
  if (executable?.interpreter === true && !evidence.hasArguments) return { state: 'interpreter' };
  for (const name of BEHAVIOUR_NAMES) {
    if (behaviours.has(name)) return { state: 'denied', reason: name };
  }
  if (executable === undefined) return OBSERVING;
  if (executable.importsSplice && !executable.go && !executable.interpreter) {
    return { state: 'denied', reason: 'imports-splice' };
  }
  const cautious = executable.go && executable.importsSplice;
  const connections = cautious ? limits.goQuietConnections : limits.quietConnections;
  const observedMs = cautious ? limits.goObservedMs : limits.observedMs;
  return evidence.quietConnections >= connections && evidence.observedMs >= observedMs
    ? { state: 'trusted' }
    : OBSERVING;
}
