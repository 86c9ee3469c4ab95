/**
 * One resource the server has or had, and its bytes.
 */
import { serviceForCluster } from '../../model/service.ts';
import type { Codec } from '../codec.ts';
import {
  RESOURCE_TYPES,
  type MeshResources,
  type ResourceKey,
  type ResourceType,
} from '../resource-types.ts';
import { frameOf, type Frame } from './frames.ts';

export type AnyResource = MeshResources[ResourceKey];

export class Entry {
  readonly key: ResourceKey;
  readonly name: string;
  /** index in what streams keep of the type; no other entry has it while this one is in the table */
  readonly slot: number;
  /** undefined: gone, and kept because a stream has to be told */
  resource: AnyResource | undefined;
  /** counts its changes, from 2 */
  revision = 1;
  /** when it changed, performance.now() */
  changedAt = 0;
  /** streams that were told of it */
  holders = 0;
  /** out of the table: its slot may be another's */
  freed = false;
  #frame: Frame | undefined;
  #variants: Map<string, Frame> | undefined;
  /** of the content for all clusters */
  #digest = '';

  constructor(key: ResourceKey, name: string, slot: number) {
    this.key = key;
    this.name = name;
    this.slot = slot;
  }

  /** As a client of the cluster sees it; only of one that is not gone. */
  frame(codec: Codec, cluster: string | undefined): Frame {
    if (cluster === undefined || !hasVariants(this.resource)) return this.#frame!;
    this.#variants ??= new Map();
    let frame = this.#variants.get(cluster);
    if (frame === undefined) {
      const service = serviceForCluster(this.resource.service, cluster);
      frame = encode(codec, this.key, this.name, { kind: 'service', service });
      this.#variants.set(cluster, frame);
    }
    return frame;
  }

  /** Whether it changes anything. Throws when it cannot be encoded; nothing has changed then. */
  set(codec: Codec, resource: AnyResource): boolean {
    const frame = encode(codec, this.key, this.name, resource);
    const digest = hasVariants(resource)
      ? frame.version + JSON.stringify([...(resource.service.clusterAddresses ?? [])])
      : frame.version;
    const same = this.resource !== undefined && this.#digest === digest;
    this.resource = resource;
    if (same) return false;
    this.#frame = frame;
    this.#variants = undefined;
    this.#digest = digest;
    return true;
  }

  clear(): void {
    this.resource = undefined;
    this.#frame = undefined;
    this.#variants = undefined;
  }
}

function encode(codec: Codec, key: ResourceKey, name: string, resource: AnyResource): Frame {
  const type = RESOURCE_TYPES[key] as ResourceType;
  return frameOf(type.typeUrl, name, type.encode(codec, resource));
}

type Varied = Extract<MeshResources['addresses'], { readonly kind: 'service' }>;

function hasVariants(resource: AnyResource | undefined): resource is Varied {
  return (
    resource !== undefined &&
    'kind' in resource &&
    resource.kind === 'service' &&
    resource.service.clusterAddresses !== undefined
  );
}
