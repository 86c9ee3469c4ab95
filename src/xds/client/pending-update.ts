/**
 * Changes that wait to be published together: the newest of each name wins.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  type MeshResources,
  type ResourceKey,
  type ResourceType,
} from '../resource-types.ts';

type AnyResource = MeshResources[ResourceKey];

export class PendingUpdate {
  /** undefined: the name is gone */
  readonly #changes = new Map<ResourceKey, Map<string, AnyResource | undefined>>();

  get empty(): boolean {
    return this.#changes.size === 0;
  }

  put<K extends ResourceKey>(key: K, name: string, resource: MeshResources[K]): void {
    this.#of(key).set(name, resource);
  }

  remove(key: ResourceKey, name: string): void {
    this.#of(key).set(name, undefined);
  }

  /** What is not in it stays. */
  add(update: MeshUpdate): void {
    for (const key of RESOURCE_ORDER) {
      const delta = update[key];
      if (delta === undefined) continue;
      const changes = this.#of(key);
      const type = RESOURCE_TYPES[key] as ResourceType;
      for (const name of delta.removals) changes.set(name, undefined);
      for (const resource of delta.upserts) changes.set(type.nameOf(resource), resource);
    }
  }

  /** All of it; a type that was answered with nothing is there with empty lists.  Empty afterwards. */
  take(): MeshUpdate {
    const update = Object.fromEntries(
      [...this.#changes].map(([key, changes]) => {
        const upserts: AnyResource[] = [];
        const removals: string[] = [];
        for (const [name, resource] of changes) {
          if (resource === undefined) removals.push(name);
          else upserts.push(resource);
        }
        return [key, { upserts, removals }];
      }),
    ) as MeshUpdate;
    this.#changes.clear();
    return update;
  }

  #of(key: ResourceKey): Map<string, AnyResource | undefined> {
    let changes = this.#changes.get(key);
    if (changes === undefined) {
      changes = new Map();
      this.#changes.set(key, changes);
    }
    return changes;
  }
}
