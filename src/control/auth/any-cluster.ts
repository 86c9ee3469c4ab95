/**
 * Callers of several clusters: a token goes to the API server whose key it names, and to no other.
 *
 * Asking every cluster would hand each of them tokens of the others, which it could use here in their place.  What a caller
 * says of its cluster is not asked either.  Right it needs: get of /openid/v1/jwks (every service account has it).
 */
import type { KubernetesClient } from '../kubernetes/client.ts';
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
  type Credentials,
} from './caller.ts';

export interface ClusterAuthenticator {
  readonly client: KubernetesClient;
  readonly authenticator: Authenticator;
}

/** A token with a key that is not known asks for the keys again, but no more often than this: keys are rotated. */
const KEYS_MS = 10_000;
const REQUEST_MS = 3000;
const MAX_HEADER_LENGTH = 2048;

interface Keys {
  readonly ids: ReadonlySet<string>;
  readonly askedMs: number;
}

export class AnyClusterAuthenticator implements Authenticator {
  readonly #clusters: readonly ClusterAuthenticator[];
  readonly #keys = new Map<ClusterAuthenticator, Keys>();
  readonly #asking = new Map<ClusterAuthenticator, Promise<void>>();

  /** the primary cluster first */
  constructor(clusters: readonly ClusterAuthenticator[]) {
    this.#clusters = clusters;
  }

  async authenticate(credentials: Credentials): Promise<Caller> {
    const key = keyIdOf(credentials.token ?? '');
    if (key === undefined) throw new AuthenticationError('the token names no key');
    let issuer = this.#issuerOf(key);
    if (issuer === undefined) {
      await Promise.all(this.#clusters.map((cluster) => this.#ask(cluster)));
      issuer = this.#issuerOf(key);
    }
    if (issuer === undefined) throw new AuthenticationError('no cluster has issued the token');
    return issuer.authenticator.authenticate(credentials);
  }

  /** The first that names the key: one that copies another's public keys is not shown its tokens. */
  #issuerOf(key: string): ClusterAuthenticator | undefined {
    return this.#clusters.find((cluster) => this.#keys.get(cluster)?.ids.has(key));
  }

  async #ask(cluster: ClusterAuthenticator): Promise<void> {
    const known = this.#keys.get(cluster);
    if (known !== undefined && performance.now() - known.askedMs < KEYS_MS) return;
    let asking = this.#asking.get(cluster);
    if (asking === undefined) {
      asking = this.#fetch(cluster).finally(() => this.#asking.delete(cluster));
      this.#asking.set(cluster, asking);
    }
    await asking;
  }

  /** A cluster that is away keeps its keys; its own callers are told that it cannot be asked. */
  async #fetch(cluster: ClusterAuthenticator): Promise<void> {
    const askedMs = performance.now();
    let ids = this.#keys.get(cluster)?.ids ?? new Set<string>();
    try {
      const accept = 'application/jwk-set+json';
      const answer = await cluster.client.call('/openid/v1/jwks', {
        accept,
        timeoutMs: REQUEST_MS,
      });
      ids = keyIdsOf(answer);
    } catch {
      // The next token with an unknown key asks again.
    }
    this.#keys.set(cluster, { ids, askedMs });
  }
}

function keyIdsOf(answer: unknown): ReadonlySet<string> {
  const { keys } = (answer ?? {}) as { keys?: unknown };
  const ids = (Array.isArray(keys) ? keys : []).map(
    (key) => (key as { kid?: unknown } | null)?.kid,
  );
  return new Set(ids.filter((id): id is string => typeof id === 'string' && id !== ''));
}

/** Nothing of the token is verified here. */
function keyIdOf(token: string): string | undefined {
  const dot = token.indexOf('.');
  if (dot <= 0 || dot > MAX_HEADER_LENGTH) return undefined;
  try {
    const header = JSON.parse(Buffer.from(token.slice(0, dot), 'base64url').toString()) as unknown;
    const kid = (header as { kid?: unknown } | null)?.kid;
    return typeof kid === 'string' && kid !== '' ? kid : undefined;
  } catch {
    return undefined;
  }
}
