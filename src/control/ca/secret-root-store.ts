/**
 * Roots in a Kubernetes Secret, shared by the replicas of control: made if absent, replaced only over the resourceVersion
 * that was read.
 *
 * `root-cert.pem` holds the bundle for people and tools; control reads `roots.json` alone.
 */
import { PodwireError } from '../../errors.ts';
import { bundleOf, formatRootState, parseRootState, type RootState } from './root-state.ts';
import type { RootStore, StoredRoots } from './root-store.ts';

/** What is needed of a client of the API server: JSON in and out; an error has the HTTP status as `status`. */
export interface KubernetesCalls {
  call(
    path: string,
    options?: { readonly method?: 'GET' | 'POST' | 'PUT'; readonly body?: unknown },
  ): Promise<unknown>;
}

export interface SecretRootStoreOptions {
  readonly client: KubernetesCalls;
  /** of control */
  readonly namespace: string;
  readonly name?: string;
}

/** The fields of a Secret that are read. */
interface Secret {
  readonly metadata?: { readonly resourceVersion?: string };
  /** base64 */
  readonly data?: Readonly<Record<string, string>>;
}

export const ROOT_SECRET = 'podwire-ca';
const SECRET_TYPE = 'podwire.io/ca-root';
const STATE_KEY = 'roots.json';
const BUNDLE_KEY = 'root-cert.pem';
const NOT_FOUND = 404;
const CONFLICT = 409;

export class SecretRootStore implements RootStore {
  readonly #client: KubernetesCalls;
  readonly #namespace: string;
  readonly #name: string;

  constructor({ client, namespace, name = ROOT_SECRET }: SecretRootStoreOptions) {
    this.#client = client;
    this.#namespace = namespace;
    this.#name = name;
  }

  async load(): Promise<StoredRoots | undefined> {
    try {
      return this.#read((await this.#client.call(`${this.#path}/${this.#name}`)) as Secret);
    } catch (error) {
      if (statusOf(error) === NOT_FOUND) return undefined;
      throw error;
    }
  }

  async save(state: RootState, over: string | undefined): Promise<StoredRoots | 'conflict'> {
    const body = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        namespace: this.#namespace,
        name: this.#name,
        ...(over !== undefined && { resourceVersion: over }),
      },
      type: SECRET_TYPE,
      stringData: { [STATE_KEY]: formatRootState(state), [BUNDLE_KEY]: bundleOf(state).join('') },
    };
    try {
      const written =
        over === undefined
          ? await this.#client.call(this.#path, { method: 'POST', body })
          : await this.#client.call(`${this.#path}/${this.#name}`, { method: 'PUT', body });
      return this.#read(written as Secret);
    } catch (error) {
      // 404 on a replacement: somebody removed it; a load finds nothing, and the state is made anew
      const status = statusOf(error);
      if (status === CONFLICT || (over !== undefined && status === NOT_FOUND)) return 'conflict';
      throw error;
    }
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#namespace}/secrets`;
  }

  /** Throws PodwireError. */
  #read({ data, metadata }: Secret): StoredRoots {
    try {
      const text = Buffer.from(data?.[STATE_KEY] ?? '', 'base64').toString('utf8');
      return { state: parseRootState(text), version: metadata?.resourceVersion ?? '' };
    } catch (cause) {
      const secret = `Secret ${this.#namespace}/${this.#name}`;
      throw new PodwireError('ERR_CONFIG', `${secret} is damaged: ${(cause as Error).message}`, {
        cause,
        hint: 'restore it from a backup; without it a new root is made and every certificate must be renewed',
      });
    }
  }
}

function statusOf(error: unknown): unknown {
  return error instanceof Error ? (error as { status?: unknown }).status : undefined;
}
