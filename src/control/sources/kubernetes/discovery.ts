/**
 * Which of the custom kinds an API server has, and in which version; asked again and again, which also tells whether the
 * server is alive: a server that hangs ends no connection.
 *
 * Aggregated discovery (Kubernetes 1.27 or newer) is one request.  Every account may make it.
 */
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { CUSTOM_KINDS, type KubernetesKind } from './kinds.ts';

const ACCEPT = ['v2', 'v2beta1']
  .map((version) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .join(',');

/** kind → the version to read it in: the first that the server lists, which is the one it prefers */
export type Served = ReadonlyMap<KubernetesKind, string>;

/** Throws KubernetesError. */
export async function discover(
  client: Pick<KubernetesClient, 'call'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Served> {
  const answer = await client.call('/apis', { accept: ACCEPT, timeoutMs, signal });
  const versions = new Map<string, string>();
  for (const group of list(answer, 'items')) {
    const groupName = text(field(group, 'metadata'), 'name');
    for (const version of list(group, 'versions')) {
      for (const resource of list(version, 'resources')) {
        const key = `${groupName} ${text(resource, 'resource')}`;
        if (!versions.has(key)) versions.set(key, text(version, 'version'));
      }
    }
  }
  const served = new Map<KubernetesKind, string>();
  for (const kind of CUSTOM_KINDS) {
    const version = versions.get(`${kind.group} ${kind.resource}`);
    if (version !== undefined) served.set(kind, version);
  }
  return served;
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[key]
    : undefined;
}

function list(value: unknown, key: string): readonly unknown[] {
  const items = field(value, key);
  return Array.isArray(items) ? items : [];
}

function text(value: unknown, key: string): string {
  const found = field(value, key);
  return typeof found === 'string' ? found : '';
}
