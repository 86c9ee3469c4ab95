/**
 * Where the CA's own roots are kept: read and replaced whole, by compare-and-swap, so that several replicas (or two that
 * start at once) always agree on one root, without a lock that could be lost.
 */
import type { RootState } from './root-state.ts';

export interface StoredRoots {
  readonly state: RootState;
  /** opaque; names this state among all that ever were in the store */
  readonly version: string;
}

export interface RootStore {
  /** undefined: nothing was ever stored. Throws when the store cannot be read, or holds what cannot be understood. */
  load(): Promise<StoredRoots | undefined>;
  /**
   * Durable when it resolves. `over` is the version that is replaced, undefined for the first.  Resolves to 'conflict',
   * with nothing changed, when another writer was faster: load again.
   */
  save(state: RootState, over: string | undefined): Promise<StoredRoots | 'conflict'>;
}
