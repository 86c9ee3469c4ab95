/**
 * Order between resources that name each other, so that a push never causes a failed request.
 *
 * A listener, route or cluster is held back until what it names is in force; what it replaces stays in force meanwhile.
 * What is named by something in force, or about to be, is not removed.  Both waits are bounded: a server that never sends
 * what it names is no reason to run an old configuration for ever.  What can go together goes in one update, and the
 * store makes one snapshot of it.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import type { Log } from '../../log.ts';
import { RESOURCE_TYPES, type MeshResources, type ResourceType } from '../resource-types.ts';
import { PendingUpdate } from './pending-update.ts';
import { referencesOf, type LinkedKey, type Reference } from './references.ts';
import { Uses, type NameChange } from './uses.ts';

export interface WarmingOptions {
  readonly publish: (update: MeshUpdate) => void;
  /** names of by-name types that are needed, or no longer */
  readonly onNames: (change: NameChange) => void;
  /** after each step, published or not */
  readonly onSettled?: () => void;
  readonly timeoutMs: number;
  readonly log: Log;
}

interface Waiting {
  /** undefined: a removal */
  readonly resource: MeshResources[LinkedKey] | undefined;
  readonly references: readonly Reference[];
  /** of the monotonic clock */
  readonly deadlineMs: number;
}

/** what is named before what names it */
const UPWARDS: readonly LinkedKey[] = [
  'secrets',
  'loadAssignments',
  'clusters',
  'routes',
  'listeners',
];
const DOWNWARDS = UPWARDS.toReversed();
const NO_REFERENCES: readonly Reference[] = [];

export class Warming {
  readonly #options: WarmingOptions;
  readonly #inForce = byKey<readonly Reference[]>();
  readonly #waiting = byKey<Waiting>();
  readonly #uses: Uses;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WarmingOptions) {
    this.#options = options;
    this.#uses = new Uses();
  }

  /** "listeners NAME (needs routes NAME)" of what is held back */
  get waiting(): readonly string[] {
    return UPWARDS.flatMap((key) =>
      [...this.#waiting[key]].map(
        ([name, one]) => `${key} ${name} (${this.#reason(key, name, one)})`,
      ),
    );
  }

  get held(): number {
    return UPWARDS.reduce((sum, key) => sum + this.#waiting[key].size, 0);
  }

  /** names of a by-name type that are needed now */
  wanted(key: LinkedKey): readonly string[] {
    return this.#uses.wanted(key);
  }

  /** Publishes what can be published; `patience` false: all of it. */
  stage(update: MeshUpdate, patience = true): void {
    const deadlineMs = performance.now() + (patience ? this.#options.timeoutMs : -1);
    const step = new PendingUpdate();
    const { addresses, authorizations } = update;
    step.add({ ...(addresses && { addresses }), ...(authorizations && { authorizations }) });
    for (const key of UPWARDS) {
      const delta = update[key];
      if (delta === undefined) continue;
      const type = RESOURCE_TYPES[key] as ResourceType;
      for (const name of delta.removals) this.#stageRemoval(key, name, deadlineMs);
      for (const resource of delta.upserts) {
        this.#stageUpsert(
          key,
          type.nameOf(resource),
          resource as MeshResources[LinkedKey],
          deadlineMs,
        );
      }
    }
    this.#settle(step, patience);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #stageUpsert(
    key: LinkedKey,
    name: string,
    resource: MeshResources[LinkedKey],
    deadlineMs: number,
  ): void {
    const references = referencesOf(key, resource);
    this.#uses.retain(references);
    this.#forget(key, name);
    this.#uses.present(key, name);
    this.#waiting[key].set(name, { resource, references, deadlineMs });
  }

  #stageRemoval(key: LinkedKey, name: string, deadlineMs: number): void {
    this.#forget(key, name);
    if (this.#inForce[key].has(name)) {
      const removal = { resource: undefined, references: NO_REFERENCES, deadlineMs };
      this.#waiting[key].set(name, removal);
    } else {
      // the server's word that there is none: nothing to wait for
      this.#uses.absent(key, name);
    }
  }

  /** A newer word about a name replaces the one that waits. */
  #forget(key: LinkedKey, name: string): void {
    const before = this.#waiting[key].get(name);
    if (before === undefined) return;
    this.#waiting[key].delete(name);
    this.#uses.release(before.references);
  }

  #settle(step: PendingUpdate, patience = true): void {
    const now = performance.now();
    for (const key of UPWARDS) {
      for (const [name, one] of this.#waiting[key]) {
        if (one.resource === undefined) continue;
        if (this.#uses.isUnneeded(key, name)) {
          this.#forget(key, name);
          continue;
        }
        const ready = one.references.every((reference) => this.#isThere(reference));
        if (!ready && one.deadlineMs > now) continue;
        if (!ready && patience) this.#logLate(key, name, one);
        this.#waiting[key].delete(name);
        const replaced = this.#inForce[key].get(name);
        this.#inForce[key].set(name, one.references);
        if (replaced !== undefined) this.#uses.release(replaced);
        step.put(key, name, one.resource);
      }
    }
    this.#dropUnused();
    for (const key of DOWNWARDS) {
      for (const [name, one] of this.#waiting[key]) {
        if (one.resource !== undefined) continue;
        const free = this.#uses.count(key, name) === 0;
        if (!free && one.deadlineMs > now) continue;
        if (!free && patience) this.#logLate(key, name, one);
        this.#waiting[key].delete(name);
        this.#uses.release(this.#inForce[key].get(name) ?? NO_REFERENCES);
        this.#inForce[key].delete(name);
        step.remove(key, name);
        this.#dropUnused();
      }
    }
    this.#arm(now);
    if (!step.empty) this.#options.publish(step.take());
    for (const change of this.#uses.takeChanges()) this.#options.onNames(change);
    this.#options.onSettled?.();
  }

  /** By-name resources nobody names are not subscribed to any more, so no server will ever remove them. */
  #dropUnused(): void {
    for (const { key, name } of this.#uses.takeUnused()) {
      this.#forget(key, name);
      if (!this.#inForce[key].has(name)) continue;
      const removal = { resource: undefined, references: NO_REFERENCES, deadlineMs: 0 };
      this.#waiting[key].set(name, removal);
    }
  }

  #isThere({ key, name }: Reference): boolean {
    return this.#inForce[key].has(name) || this.#uses.isAbsent(key, name);
  }

  #arm(now: number): void {
    clearTimeout(this.#timer);
    let next = Infinity;
    for (const key of UPWARDS) {
      for (const { deadlineMs } of this.#waiting[key].values()) next = Math.min(next, deadlineMs);
    }
    if (next === Infinity) return;
    const afterMs = Math.max(1, next - now);
    this.#timer = setTimeout(() => this.#settle(new PendingUpdate()), afterMs);
  }

  #reason(key: LinkedKey, name: string, { resource, references }: Waiting): string {
    if (resource === undefined) return `its removal: still named by ${this.#uses.count(key, name)}`;
    const missing = references.filter((reference) => !this.#isThere(reference));
    return `needs ${missing.map((one) => `${one.key} ${one.name}`).join(', ')}`;
  }

  #logLate(key: LinkedKey, name: string, one: Waiting): void {
    this.#options.log.warn(
      { type: key, name, waitedMs: this.#options.timeoutMs },
      `published although incomplete: ${this.#reason(key, name, one)}`,
    );
  }
}

function byKey<T>(): Record<LinkedKey, Map<string, T>> {
  return {
    secrets: new Map(),
    loadAssignments: new Map(),
    clusters: new Map(),
    routes: new Map(),
    listeners: new Map(),
  };
}
