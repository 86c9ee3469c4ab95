/**
 * The kernel's `trust` map in terms of the trust policy.  The kernel makes entries and counts in them; a count lost
 * between read and write of a decision does no harm, because decided entries are not counted any more.
 */
import type { BpfMap } from '../../kernel/binding.ts';
import { BEHAVIOUR_NAMES } from './trust-policy.ts';
import type { DenyReason } from './trust-policy.ts';
import {
  Trust,
  TrustFlags,
  TrustKey,
  TrustReason,
  TrustState,
} from '../../kernel/abi/layout.gen.ts';
import { TypedMap } from '../../kernel/typed-map.ts';

export interface TrustEntry {
  readonly key: TrustKey;
  readonly trust: Trust;
  readonly flags: { readonly interpreter: boolean };
}

export interface NamedTrustEntry extends TrustEntry {
  readonly names: {
    readonly executable: string;
    readonly workload: string;
    /** of an interpreter's program, '' */
    readonly argv: string;
  };
}

/** The reasons that are no behaviour; a behaviour is its number + 1. */
const REASON_NUMBERS = {
  'deny-list': TrustReason.DENY_LIST,
  'imports-splice': TrustReason.IMPORTS_SPLICE,
  'stalled-reader': TrustReason.STALLED_READER,
} as const;

const NEW_ENTRY: Trust = {
  state: TrustState.OBSERVING,
  reason: 0,
  flags: 0,
  connections: 0,
  quiet: 0,
  tgid: 0,
  firstNs: 0n,
};

export function keyText(key: TrustKey): string {
  return `${key.inode} ${key.device} ${key.workload} ${key.argv}`;
}

/** What the kernel itself noted against an executable that is not denied yet. */
export function kernelReason(entry: TrustEntry): DenyReason | undefined {
  const { state, reason } = entry.trust;
  if (state === TrustState.DENIED || entry.flags.interpreter || reason === 0) return undefined;
  return BEHAVIOUR_NAMES[reason - 1];
}

export class TrustMap {
  readonly #map: TypedMap<TrustKey, Trust>;

  constructor(map: BpfMap) {
    this.#map = new TypedMap('trust', map, TrustKey, Trust);
  }

  /** By keyText(). */
  entries(): Map<string, TrustEntry> {
    return new Map(
      this.#map.entries().map(([key, trust]) => {
        const flags = { interpreter: (trust.flags & TrustFlags.INTERPRETER) !== 0 };
        return [keyText(key), { key, trust, flags }];
      }),
    );
  }

  set(
    key: TrustKey,
    decision: { state: 'trusted' } | { state: 'denied'; reason: DenyReason },
  ): void {
    const denied = decision.state === 'denied';
    this.#write(key, {
      state: denied ? TrustState.DENIED : TrustState.TRUSTED,
      reason: denied ? reasonNumber(decision.reason) : 0,
    });
  }

  delete(key: TrustKey): void {
    this.#map.delete(key);
  }

  /** From now on the kernel makes one entry per program. */
  markInterpreter(key: TrustKey): void {
    this.#write(key, { flags: TrustFlags.INTERPRETER });
  }

  /** The kernel need not tell of further processes of it. */
  markRead(key: TrustKey): void {
    const { flags } = this.#map.get(key) ?? NEW_ENTRY;
    this.#write(key, { flags: flags | TrustFlags.READ });
  }

  #write(key: TrustKey, change: Partial<Trust>): void {
    this.#map.set(key, { ...(this.#map.get(key) ?? NEW_ENTRY), ...change });
  }
}

function reasonNumber(reason: DenyReason): number {
  const behaviour = BEHAVIOUR_NAMES.findIndex((name) => name === reason);
  return behaviour >= 0 ? behaviour + 1 : REASON_NUMBERS[reason as keyof typeof REASON_NUMBERS];
}
