/**
 * The CA's own root and its rotation: a state machine whose dates are kept in the store.
 *
 *   steady ── announce ──► announced ── switch ──► retiring ── drop ──► steady
 *
 * Announced: the next root stands in every bundle, the active one still signs.  After the longest life of a leaf every
 * holder of a valid leaf has renewed it, and with it the bundle, so all trust the next root: switch.  Retiring: the old
 * root is in every bundle until the last leaf it signed has expired: drop.  So any two valid leaves trust each other at
 * every moment.
 */
import { X509Certificate } from 'node:crypto';
import type { NewRoot } from './certificate.ts';

export interface RootState {
  readonly format: 1;
  readonly active: NewRoot;
  readonly next?: NewRoot & { readonly announcedAt: number };
  /** certificates without keys: a root that no longer signs cannot be stolen */
  readonly retiring: readonly { readonly certificate: string; readonly retiredAt: number }[];
  /** the longest life a leaf of these roots may have had, in ms; only grows */
  readonly longestLifeMs: number;
  /** a rotation was asked for and has not begun */
  readonly rotate?: true;
}

export type RotationStep = 'announce' | 'switch' | 'drop';

/** Beyond a leaf's life: replicas that read the store late, clocks that differ, answers on their way. */
export const ROTATION_SLACK_MS = 3_600_000;

/** A root that is nearer to its end than this many overlaps is rotated by itself. */
const RENEW_BEFORE_OVERLAPS = 4;
/** or than this part of its life */
const RENEW_BEFORE_PART = 0.1;

/** The step that is due; undefined: none */
export function dueStep(state: RootState, now: number): RotationStep | undefined {
  const overlapMs = overlapOf(state);
  if (state.retiring.some(({ retiredAt }) => now >= retiredAt + overlapMs)) return 'drop';
  if (state.next) return now >= state.next.announcedAt + overlapMs ? 'switch' : undefined;
  // One rotation at a time: a bundle has three roots at most.
  if (state.retiring.length > 0) return undefined;
  return state.rotate || isNearItsEnd(state, now) ? 'announce' : undefined;
}

export function announced(state: RootState, next: NewRoot, now: number): RootState {
  const { rotate: _, ...rest } = state;
  return { ...rest, next: { ...next, announcedAt: now } };
}

/** Throws when nothing was announced. */
export function switched(state: RootState, now: number): RootState {
  const { next, ...rest } = state;
  if (!next) throw new Error('no root was announced');
  const { certificate, key } = next;
  const retired = { certificate: state.active.certificate, retiredAt: now };
  return { ...rest, active: { certificate, key }, retiring: [...state.retiring, retired] };
}

export function dropped(state: RootState, now: number): RootState {
  const overlapMs = overlapOf(state);
  const retiring = state.retiring.filter(({ retiredAt }) => now < retiredAt + overlapMs);
  return { ...state, retiring };
}

/** PEM of each root that holders of leaves must trust: the signing one first */
export function bundleOf(state: RootState): readonly string[] {
  const certificates = [state.active, ...(state.next ? [state.next] : []), ...state.retiring];
  return certificates.map(({ certificate }) => certificate);
}

/** How long a root is trusted before it signs, and after it has signed for the last time, in ms */
export function overlapOf(state: RootState): number {
  return state.longestLifeMs + ROTATION_SLACK_MS;
}

/** Where a rotation stands; dates are ISO 8601, and null where there is none. */
export interface RotationStatus {
  readonly phase: 'steady' | 'announced' | 'retiring';
  /** another was asked for, and begins when this one has ended */
  readonly requested: boolean;
  /** when the next root came into the bundle */
  readonly announcedAt: string | null;
  /** since then it signs, or will: not before, and later by as long as the clock was set */
  readonly switchAt: string | null;
  /** the old root leaves the bundle: not before */
  readonly dropAt: string | null;
}

export function rotationOf(state: RootState): RotationStatus {
  const overlapMs = overlapOf(state);
  const requested = state.rotate === true;
  const date = (ms: number): string => new Date(ms).toISOString();
  if (state.next) {
    const { announcedAt } = state.next;
    return {
      phase: 'announced',
      requested,
      announcedAt: date(announcedAt),
      switchAt: date(announcedAt + overlapMs),
      dropAt: date(announcedAt + 2 * overlapMs),
    };
  }
  const none = { requested, announcedAt: null, switchAt: null, dropAt: null };
  if (state.retiring.length === 0) return { phase: 'steady', ...none };
  const switchedAt = Math.max(...state.retiring.map(({ retiredAt }) => retiredAt));
  const dates = { switchAt: date(switchedAt), dropAt: date(switchedAt + overlapMs) };
  return { phase: 'retiring', ...none, ...dates };
}

export function formatRootState(state: RootState): string {
  return `${JSON.stringify(state, undefined, 2)}\n`;
}

/** Throws on anything that `formatRootState` did not write: a damaged state must never be taken for none. */
export function parseRootState(text: string): RootState {
  const state = JSON.parse(text) as Partial<RootState>;
  if (state.format !== 1) throw new Error('not of a format this version knows');
  const { active, next, retiring, longestLifeMs } = state;
  if (!isDate(longestLifeMs) || !Array.isArray(retiring)) throw new Error('fields are missing');
  for (const root of [active, ...(next === undefined ? [] : [next])]) {
    if (typeof root?.key !== 'string') throw new Error('a key is missing');
    void new X509Certificate(root.certificate);
  }
  if (next !== undefined && !isDate(next.announcedAt)) throw new Error('a date is missing');
  for (const { certificate, retiredAt } of retiring as RootState['retiring']) {
    if (!isDate(retiredAt)) throw new Error('a date is missing');
    void new X509Certificate(certificate);
  }
  return state as RootState;
}

function isNearItsEnd(state: RootState, now: number): boolean {
  const { validFrom, validTo } = new X509Certificate(state.active.certificate);
  const life = Date.parse(validTo) - Date.parse(validFrom);
  // A root may be given less life than four overlaps: then half of it must do, or it would rotate for ever.
  const before = Math.max(RENEW_BEFORE_OVERLAPS * overlapOf(state), RENEW_BEFORE_PART * life);
  return now >= Date.parse(validTo) - Math.min(before, life / 2);
}

function isDate(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
