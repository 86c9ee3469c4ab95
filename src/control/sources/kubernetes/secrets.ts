/**
 * The Secrets that something in the mesh names, each by a watch of its own (field selector metadata.name), so that no other
 * Secret of the cluster is ever read.
 *
 * Rights it needs: get, list and watch of secrets.  They can be given by name (resourceNames: the API server honours these
 * for lists and watches with this field selector) or by a Role in each namespace that has certificates of gateways.
 *
 * A watch of a namespace would read what nobody named, and list of the cluster (what istiod does) every password there is.
 * The price is a connection per Secret: meant for hundreds of them, not for tens of thousands.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecretResource } from '../../../model/resource/core.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import type { KubernetesError } from '../../kubernetes/error.ts';
import type { OriginContent } from '../source.ts';
import { errorAbout } from './health.ts';
import { SECRET_KIND } from './kinds.ts';
import type { KubernetesObject } from './object.ts';
import { Reflector, type ReflectorTiming } from './reflector.ts';

export interface SecretsOptions {
  readonly client: KubernetesClient;
  readonly timing: ReflectorTiming;
  /** how long the first answers are waited for */
  readonly waitMs: number;
  /** undefined: of no use to the mesh */
  readonly read: (name: string, object: KubernetesObject) => OriginContent | undefined;
  readonly originOf: (name: string) => string;
  /** undefined: it is gone, or nobody names it any more */
  readonly put: (name: string, content: OriginContent | undefined) => void;
}

interface Followed {
  readonly reflector: Reflector;
  /** resolves when it was read, is missing or could not be read */
  readonly heard: Promise<void>;
  content: OriginContent | undefined;
}

export class FollowedSecrets {
  readonly #options: SecretsOptions;
  /** by "namespace/name" */
  readonly #followed = new Map<string, Followed>();
  readonly #closing = new Set<Promise<void>>();
  readonly #stop = new AbortController();

  constructor(options: SecretsOptions) {
    this.#options = options;
  }

  /** Resolves when each of them was heard of. */
  async follow(names: ReadonlySet<string>): Promise<void> {
    if (this.#stop.signal.aborted) return;
    for (const [name, { reflector }] of this.#followed) {
      if (names.has(name)) continue;
      this.#followed.delete(name);
      const closing = reflector.close().finally(() => this.#closing.delete(closing));
      this.#closing.add(closing);
      this.#options.put(name, undefined);
    }
    for (const name of names) if (isName(name) && !this.#followed.has(name)) this.#start(name);
    const heard = Promise.all([...this.#followed.values()].map((one) => one.heard));
    const patience = sleep(this.#options.waitMs, undefined, {
      ref: false,
      signal: this.#stop.signal,
    });
    await Promise.race([heard, patience.catch(() => {})]);
  }

  reconnect(reason: string): void {
    for (const { reflector } of this.#followed.values()) reflector.reconnect(reason);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const closing = [...this.#followed.values()].map(({ reflector }) => reflector.close());
    await Promise.all([...closing, ...this.#closing]);
  }

  #start(path: string): void {
    const { client, timing, put } = this.#options;
    const [namespace = '', name = ''] = path.split('/');
    const collection = {
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/${SECRET_KIND.resource}`,
      fieldSelector: `metadata.name=${name}`,
    };
    let hear = (): void => {};
    const heard = new Promise<void>((resolve) => (hear = resolve));
    const tell = (content: OriginContent | undefined): void => {
      // What was under way when nobody named it any more is not told.
      if (this.#followed.get(path) !== followed) return;
      followed.content = content;
      put(path, content);
    };
    const reflector = new Reflector(client, collection, timing, {
      upsert: (_key, object) => {
        tell(keepGood(this.#options.read(path, object), followed.content));
      },
      remove: () => tell(undefined),
      synced: hear,
      failing: (error) => {
        this.#fail(path, followed, error);
        if (error !== undefined) hear();
      },
    });
    const followed: Followed = { reflector, heard, content: undefined };
    this.#followed.set(path, followed);
    reflector.start();
  }

  /** What was read before stays in force. */
  #fail(path: string, followed: Followed, error: KubernetesError | undefined): void {
    if (this.#followed.get(path) !== followed) return;
    const { put, originOf } = this.#options;
    const { content = { resources: [], findings: [] } } = followed;
    if (error === undefined) return put(path, followed.content);
    const code = error.refused ? 'KIND_FORBIDDEN' : 'OBJECT_UNREADABLE';
    const [namespace] = path.split('/');
    const finding = errorAbout(code, originOf(path), `Secret ${path}`, {
      message: `cannot be read: ${error.message}`,
      fix: `let control's account get, list and watch secrets in namespace ${namespace}`,
    });
    put(path, { ...content, findings: [...content.findings, finding] });
  }
}

/** What else somebody may have written is no path of the API, and no field selector. */
function isName(path: string): boolean {
  return /^[a-z0-9][-a-z0-9]{0,62}\/[a-z0-9][-.a-z0-9]{0,252}$/.test(path);
}

/** A rotation that went wrong does not take the certificate away that works. */
function keepGood(
  content: OriginContent | undefined,
  before: OriginContent | undefined,
): OriginContent | undefined {
  const [secret] = (content?.resources ?? []) as readonly SecretResource[];
  const [good] = (before?.resources ?? []) as readonly SecretResource[];
  if (content === undefined || secret?.problem === undefined || good === undefined) return content;
  if (good.certificate === undefined && good.caCertificates === undefined) return content;
  const problem = `${secret.problem}${KEPT}`;
  return { ...content, resources: [{ ...good, problem }] };
}

const KEPT = '; what it held before is used';
