/**
 * The types of xDS resources podwire speaks: what the client and the server need to know of each.
 */
import { authorizationKey, type Authorization } from '../model/authorization.ts';
import type { Cluster } from '../model/cluster.ts';
import type { Listener } from '../model/listener.ts';
import type { LoadAssignment } from '../model/load-assignment.ts';
import { addressName, type Address, type MeshUpdate } from '../model/messages.ts';
import type { RouteConfiguration } from '../model/route.ts';
import type { Secret } from '../model/secret.ts';
import type { Codec } from './codec.ts';
import { ADDRESS_TYPE_URL, decodeAddress, encodeAddress } from './resources/address.ts';
import {
  AUTHORIZATION_TYPE_URL,
  decodeAuthorization,
  encodeAuthorization,
} from './resources/authorization.ts';
import { decodeCluster, encodeCluster } from './resources/cluster.ts';
import type { Decoded } from './resources/decoded.ts';
import { decodeListener, encodeListener } from './resources/listener.ts';
import { decodeLoadAssignment, encodeLoadAssignment } from './resources/load-assignment.ts';
import { decodeRouteConfiguration, encodeRouteConfiguration } from './resources/route.ts';
import { decodeSecret, encodeSecret } from './resources/secret.ts';

/** The model of each type, by its key in MeshUpdate. */
export interface MeshResources {
  readonly addresses: Address;
  readonly authorizations: Authorization;
  readonly secrets: Secret;
  readonly clusters: Cluster;
  readonly loadAssignments: LoadAssignment;
  readonly routes: RouteConfiguration;
  readonly listeners: Listener;
}

export type ResourceKey = keyof MeshResources & keyof MeshUpdate;

export interface ResourceType<K extends ResourceKey = ResourceKey> {
  readonly key: K;
  readonly typeUrl: string;
  /** the xDS resource name */
  nameOf(resource: MeshResources[K]): string;
  encode(codec: Codec, resource: MeshResources[K]): Uint8Array;
  /** never throws */
  decode(codec: Codec, bytes: Uint8Array): Decoded<MeshResources[K]>;
}

type ResourceTypes = { readonly [K in ResourceKey]: ResourceType<K> };

const nameOf = ({ name }: { readonly name: string }): string => name;

export const RESOURCE_TYPES: ResourceTypes = Object.freeze({
  addresses: {
    key: 'addresses',
    typeUrl: ADDRESS_TYPE_URL,
    nameOf: addressName,
    encode: encodeAddress,
    decode: decodeAddress,
  },
  authorizations: {
    key: 'authorizations',
    typeUrl: AUTHORIZATION_TYPE_URL,
    nameOf: authorizationKey,
    encode: encodeAuthorization,
    decode: decodeAuthorization,
  },
  secrets: {
    key: 'secrets',
    typeUrl: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
    nameOf,
    encode: encodeSecret,
    decode: decodeSecret,
  },
  clusters: {
    key: 'clusters',
    typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
    nameOf,
    encode: encodeCluster,
    decode: decodeCluster,
  },
  loadAssignments: {
    key: 'loadAssignments',
    typeUrl: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
    nameOf,
    encode: encodeLoadAssignment,
    decode: decodeLoadAssignment,
  },
  routes: {
    key: 'routes',
    typeUrl: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
    nameOf,
    encode: encodeRouteConfiguration,
    decode: decodeRouteConfiguration,
  },
  listeners: {
    key: 'listeners',
    typeUrl: 'type.googleapis.com/envoy.config.listener.v3.Listener',
    nameOf,
    encode: encodeListener,
    decode: decodeListener,
  },
} satisfies ResourceTypes);

/**
 * Order in which types are asked for, sent and applied, so that nothing refers to what is not there yet: who is there
 * and who may, then secrets and clusters, their endpoints, the routes to them, the listeners that use the routes.
 * Removals go the other way.
 */
export const RESOURCE_ORDER: readonly ResourceKey[] = Object.freeze([
  'addresses',
  'authorizations',
  'secrets',
  'clusters',
  'loadAssignments',
  'routes',
  'listeners',
]);

const BY_TYPE_URL: ReadonlyMap<string, ResourceKey> = new Map(
  RESOURCE_ORDER.map((key) => [RESOURCE_TYPES[key].typeUrl, key]),
);

/** undefined: a type podwire does not speak */
export function resourceKeyOf(typeUrl: string): ResourceKey | undefined {
  return BY_TYPE_URL.get(typeUrl);
}
