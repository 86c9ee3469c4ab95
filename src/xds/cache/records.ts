/**
 * A Snapshot as records (type, bytes of the resource as on the wire), and back.
 */
import type { MeshUpdate } from '../../model/messages.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Codec } from '../codec.ts';
import {
  RESOURCE_ORDER,
  RESOURCE_TYPES,
  type MeshResources,
  type ResourceKey,
  type ResourceType,
} from '../resource-types.ts';
import { CacheFileError, type CacheRecord } from './cache-file.ts';

export function* recordsOf(codec: Codec, snapshot: Snapshot): Iterable<CacheRecord> {
  for (const key of RESOURCE_ORDER) {
    const type = RESOURCE_TYPES[key] as ResourceType;
    for (const resource of resourcesOf(snapshot, key)) {
      yield { type: RESOURCE_ORDER.indexOf(key), bytes: type.encode(codec, resource) };
    }
  }
}

/** Of every type, with empty lists where there was nothing: the saved configuration is a whole one. */
export function updateOf(codec: Codec, records: readonly CacheRecord[]): MeshUpdate {
  const upserts = new Map<ResourceKey, MeshResources[ResourceKey][]>(
    RESOURCE_ORDER.map((key) => [key, []]),
  );
  for (const { type: index, bytes } of records) {
    const key = RESOURCE_ORDER[index];
    if (key === undefined) throw new CacheFileError(`it has a record of the unknown type ${index}`);
    const decoded = (RESOURCE_TYPES[key] as ResourceType).decode(codec, bytes);
    if (!decoded.ok) throw new CacheFileError(`${key}: ${decoded.errors.join(', ')}`);
    upserts.get(key)!.push(decoded.value);
  }
  return Object.fromEntries(
    [...upserts].map(([key, list]) => [key, { upserts: list, removals: [] }]),
  ) as MeshUpdate;
}

function* resourcesOf(snapshot: Snapshot, key: ResourceKey): Iterable<MeshResources[ResourceKey]> {
  if (key === 'addresses') {
    for (const service of snapshot.services.values()) yield { kind: 'service', service };
    for (const workload of snapshot.workloads.values()) yield { kind: 'workload', workload };
  } else if (key === 'secrets') {
    // keys never reach the disk
    for (const secret of snapshot.secrets.values()) if (secret.type === 'roots') yield secret;
  } else {
    yield* snapshot[key].values();
  }
}
