/**
 * What control shows of itself: plain JSON, without anything secret.
 */
import { plain, plainSecret } from '../model/plain.ts';
import type { Secret } from '../model/secret.ts';
import { RESOURCE_ORDER, type ResourceKey } from '../xds/resource-types.ts';
import type { StreamClient } from '../xds/server/scope.ts';
import type { XdsServer } from '../xds/server/server.ts';
import type { StreamStatus, TypeStatus } from '../xds/server/status.ts';

/** GET /debug/syncz, one line per stream: after istiod's, which istioctl reads. */
export interface SyncLine {
  readonly proxy: string;
  readonly cluster_id: string;
  readonly connected_since: string;
  readonly types: Readonly<
    Record<
      string,
      Pick<
        TypeStatus,
        'state' | 'sentVersion' | 'ackedVersion' | 'sentNonce' | 'ackedNonce' | 'nacked'
      >
    >
  >;
}

export interface ConfigDump {
  readonly node: string;
  readonly cluster: string;
  readonly types: Readonly<
    Record<
      string,
      readonly { readonly name: string; readonly version: string; readonly resource: unknown }[]
    >
  >;
}

/** GET /v1/nodes: by node, then by age. */
export function nodesView(xds: XdsServer): { readonly nodes: readonly StreamStatus[] } {
  const nodes = xds.streams().sort((a, b) => compare(keyOf(a), keyOf(b)));
  return { nodes };
}

export function syncView(xds: XdsServer): readonly SyncLine[] {
  return nodesView(xds).nodes.map((stream) => ({
    proxy: stream.nodeId || stream.node,
    cluster_id: stream.cluster,
    connected_since: stream.connectedSince,
    types: Object.fromEntries(
      stream.types.map(
        ({ type, state, sentVersion, ackedVersion, sentNonce, ackedNonce, nacked }) => [
          type,
          { state, sentVersion, ackedVersion, sentNonce, ackedNonce, nacked },
        ],
      ),
    ),
  }));
}

/** What the client is sent that asks for everything; `type`: of one type only. */
export function configView(xds: XdsServer, client: StreamClient, type?: ResourceKey): ConfigDump {
  const preview = xds.preview(client);
  const types = RESOURCE_ORDER.filter((key) => type === undefined || key === type);
  return {
    node: client.node ?? '',
    cluster: client.cluster ?? '',
    types: Object.fromEntries(
      types.map((key) => [
        key,
        (preview.get(key) ?? []).map(({ name, version, resource }) => ({
          name,
          version,
          resource: key === 'secrets' ? plainSecret(resource as Secret) : plain(resource),
        })),
      ]),
    ),
  };
}

function keyOf({ cluster, node, connectedSince }: StreamStatus): string {
  return `${cluster} ${node} ${connectedSince}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
