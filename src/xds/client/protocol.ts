/**
 * The two variants of ADS behind one shape: delta, and the state of the world for servers that know nothing else.
 *
 * A protocol only makes and reads messages; what was asked, answered and refused is kept by TypeState.
 */
import type { DeltaRequestInput, DeltaResponse, SotwRequestInput, SotwResponse } from '../codec.ts';
import type { Push } from './push.ts';

/** envoy.config.core.v3.Node */
export type Node = NonNullable<DeltaRequestInput['node']>;

/** What a request needs to know of its type. */
export interface Subscription {
  readonly typeUrl: string;
  /** everything, by name, or by name with nothing at first (on-demand Address) */
  readonly mode: 'wildcard' | 'named' | 'on-demand';
  /** subscribed to by name */
  readonly names: ReadonlySet<string>;
  /** name → version of what is held; "" makes the server send it again */
  readonly known: ReadonlyMap<string, string>;
  /** of the last push that was taken without a refusal, and of the last push at all */
  readonly version: string;
  readonly nonce: string;
}

export interface DiscoveryProtocol {
  readonly name: 'delta' | 'sotw';
  /** of the AggregatedDiscoveryService */
  readonly method: 'DeltaAggregatedResources' | 'StreamAggregatedResources';
  /** the first request for a type on a stream */
  subscribe(type: Subscription, node: Node): object;
  /** names came or went; the subscription shows them already */
  change(type: Subscription, added: readonly string[], removed: readonly string[]): object;
  /** ACK, or NACK with the reason */
  answer(type: Subscription, push: Push, refusal: string | undefined): object;
  read(message: unknown): Push;
}

const WILDCARD = '*';
/** google.rpc.Code INVALID_ARGUMENT */
const INVALID_ARGUMENT = 3;

export const DELTA: DiscoveryProtocol = {
  name: 'delta',
  method: 'DeltaAggregatedResources',
  subscribe({ typeUrl, mode, names, known }, node): DeltaRequestInput {
    const onDemand = mode === 'on-demand';
    return {
      node,
      type_url: typeUrl,
      // "*" asked for and given back at once: subscribed to nothing, which no names at all would not say
      resource_names_subscribe: onDemand ? [WILDCARD, ...names] : [...names],
      resource_names_unsubscribe: onDemand ? [WILDCARD] : [],
      initial_resource_versions: Object.fromEntries(known),
    };
  },
  change({ typeUrl }, added, removed): DeltaRequestInput {
    return {
      type_url: typeUrl,
      resource_names_subscribe: [...added],
      resource_names_unsubscribe: [...removed],
    };
  },
  answer({ typeUrl }, { nonce }, refusal): DeltaRequestInput {
    return { type_url: typeUrl, response_nonce: nonce, error_detail: detail(refusal) };
  },
  read(message): Push {
    const response = message as DeltaResponse;
    return {
      typeUrl: response.type_url,
      nonce: response.nonce,
      controlPlane: response.control_plane?.identifier ?? '',
      version: response.system_version_info,
      resources: response.resources.map(({ name, aliases, version, resource }) => ({
        name,
        aliases,
        version,
        typeUrl: resource?.type_url ?? '',
        bytes: resource?.value,
      })),
      removed: response.removed_resources,
      whole: false,
    };
  },
};

/**
 * No version is named on a new stream, although the protocol allows it: a server whose versions are counters that began
 * anew would take an old one for its own and never answer.
 */
export const STATE_OF_THE_WORLD: DiscoveryProtocol = {
  name: 'sotw',
  method: 'StreamAggregatedResources',
  subscribe({ typeUrl, names }, node): SotwRequestInput {
    return { node, type_url: typeUrl, resource_names: [...names] };
  },
  change({ typeUrl, names, version, nonce }): SotwRequestInput {
    return {
      type_url: typeUrl,
      resource_names: [...names],
      version_info: version,
      response_nonce: nonce,
    };
  },
  answer({ typeUrl, names, version }, { nonce }, refusal): SotwRequestInput {
    return {
      type_url: typeUrl,
      resource_names: [...names],
      version_info: version,
      response_nonce: nonce,
      error_detail: detail(refusal),
    };
  },
  read(message): Push {
    const response = message as SotwResponse;
    return {
      typeUrl: response.type_url,
      nonce: response.nonce,
      controlPlane: response.control_plane?.identifier ?? '',
      version: response.version_info,
      resources: response.resources.map(({ type_url, value }) => ({
        name: '',
        aliases: [],
        version: response.version_info,
        typeUrl: type_url,
        bytes: value,
      })),
      removed: [],
      whole: true,
    };
  },
};

function detail(refusal: string | undefined): { code: number; message: string } | null {
  return refusal === undefined ? null : { code: INVALID_ARGUMENT, message: refusal };
}
