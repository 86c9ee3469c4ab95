/**
 * What a response would say.
 */
import type { AliasPlan } from './aliases.ts';
import type { Entry } from './entry.ts';
import type { Frame } from './frames.ts';

/** Nothing is noted before `Subscription.commit`. */
export interface Plan {
  /** whole: everything that is asked for, new or not */
  readonly kind: 'all' | 'upserts' | 'removals' | 'whole';
  readonly upserts: readonly Entry[];
  /** whole: what is to go, and is said once more because something may still refer to it */
  readonly kept: readonly Entry[];
  /** of the upserts, then of what is kept, then of the aliases */
  readonly frames: readonly Frame[];
  readonly removals: readonly Entry[];
  /** names that there are no resources of */
  readonly strays: readonly string[];
  readonly aliases: AliasPlan | undefined;
  /** of the frames */
  readonly bytes: number;
  /** it says what the client does not know */
  readonly news: boolean;
}

export function removalsOf(removals: readonly Entry[]): Plan {
  return {
    kind: 'removals',
    upserts: [],
    kept: [],
    frames: [],
    removals,
    strays: [],
    aliases: undefined,
    bytes: 0,
    news: removals.length > 0,
  };
}
