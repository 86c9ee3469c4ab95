/**
 * Roots in a Kubernetes Secret, shared by the replicas of control: made if absent, replaced only over the resourceVersion
 * that was read.
 *
 * `root-cert.pem` holds the bundle for people and tools; control reads `roots.json` alone.
 */
import { ApiException, type CoreV1Api, type V1Secret } from '@kubernetes/client-node';
import { PodwireError } from '../../errors.ts';
import { bundleOf, formatRootState, parseRootState, type RootState } from './root-state.ts';
import type { RootStore, StoredRoots } from './root-store.ts';

export interface SecretRootStoreOptions {
  readonly api: Pick<
    CoreV1Api,
    'readNamespacedSecret' | 'createNamespacedSecret' | 'replaceNamespacedSecret'
  >;
  /** of control */
  readonly namespace: string;
  readonly name?: string;
}

export const ROOT_SECRET = 'podwire-ca';
const SECRET_TYPE = 'podwire.io/ca-root';
const STATE_KEY = 'roots.json';
const BUNDLE_KEY = 'root-cert.pem';
const NOT_FOUND = 404;
const CONFLICT = 409;

export class SecretRootStore implements RootStore {
  readonly #api: SecretRootStoreOptions['api'];
  readonly #namespace: string;
  readonly #name: string;

  constructor({ api, namespace, name = ROOT_SECRET }: SecretRootStoreOptions) {
    this.#api = api;
    this.#namespace = namespace;
    this.#name = name;
  }

  async load(): Promise<StoredRoots | undefined> {
    const where = { namespace: this.#namespace, name: this.#name };
    try {
      return this.#read(await this.#api.readNamespacedSecret(where));
    } catch (error) {
      if (statusOf(error) === NOT_FOUND) return undefined;
      throw error;
    }
  }

  async save(state: RootState, over: string | undefined): Promise<StoredRoots | 'conflict'> {
    const body: V1Secret = {
      metadata: {
        namespace: this.#namespace,
        name: this.#name,
        ...(over === undefined ? {} : { resourceVersion: over }),
      },
      type: SECRET_TYPE,
      stringData: { [STATE_KEY]: formatRootState(state), [BUNDLE_KEY]: bundleOf(state).join('') },
    };
    const { namespace, name } = { namespace: this.#namespace, name: this.#name };
    try {
      const written =
        over === undefined
          ? await this.#api.createNamespacedSecret({ namespace, body })
          : await this.#api.replaceNamespacedSecret({ namespace, name, body });
      return this.#read(written);
    } catch (error) {
      // 404 on a replacement: somebody removed it; the next load finds nothing and a first root is made again
      const status = statusOf(error);
      if (status === CONFLICT || (over !== undefined && status === NOT_FOUND)) return 'conflict';
      throw error;
    }
  }

  #read({ data, metadata }: V1Secret): StoredRoots {
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

function statusOf(error: unknown): number | undefined {
  return error instanceof ApiException ? error.code : undefined;
}
