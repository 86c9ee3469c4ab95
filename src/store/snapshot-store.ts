/**
 * Owns the current Snapshot.
 *
 * It accepts the two messages and nothing else, whoever carries them.  Nothing is published before both types have had
 * their first response: a mesh without its policies would be an open one.  Subscribers get (next, previous) in order.
 */
import type { MeshUpdate } from '../model/messages.ts';
import { emptySnapshot, type Snapshot } from '../model/snapshot.ts';
import { buildSnapshot } from './builder.ts';

export type SnapshotListener = (next: Snapshot, previous: Snapshot) => void;

export class SnapshotStore {
  /** with every message so far */
  #latest: Snapshot = emptySnapshot();
  /** what subscribers have seen */
  #current: Snapshot = this.#latest;
  readonly #awaited = new Set<keyof MeshUpdate>(['addresses', 'authorizations']);
  readonly #listeners = new Set<SnapshotListener>();

  get current(): Snapshot {
    return this.#current;
  }

  /** Why there is nothing to publish yet; undefined when complete. */
  get incomplete(): string | undefined {
    if (this.#awaited.size === 0) return undefined;
    return `no response yet for: ${[...this.#awaited].sort().join(', ')}`;
  }

  apply(update: MeshUpdate): void {
    if (update.addresses !== undefined) this.#awaited.delete('addresses');
    if (update.authorizations !== undefined) this.#awaited.delete('authorizations');
    this.#latest = buildSnapshot(this.#latest, update);
    if (this.#awaited.size > 0 || this.#latest === this.#current) return;
    const previous = this.#current;
    this.#current = this.#latest;
    for (const listener of this.#listeners) listener(this.#current, previous);
  }

  /** Returns what ends the subscription; it may be called twice. */
  subscribe(listener: SnapshotListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
