/**
 * The names of an update's resources, without versions.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import { RESOURCE_TYPES, type ResourceKey, type ResourceType } from '../resource-types.ts';

export function namesIn(update: MeshUpdate, key: ResourceKey): ReadonlyMap<string, string> {
  const type = RESOURCE_TYPES[key] as ResourceType;
  return new Map((update[key]?.upserts ?? []).map((resource) => [type.nameOf(resource), '']));
}
