/**
 * What the translation says of visibility and gateways, and who uses which Secret: what NodeScopes ask.
 */
import type { TlsParameters } from '../../model/cluster.ts';
import type { Listener } from '../../model/listener.ts';
import type { MeshUpdate } from '../../model/messages.ts';
import type { MeshVisibility } from '../translate/l7/mesh-visibility.ts';
import { resourceScopeOf, secretUserOf, type SecretUser } from './resource-scope.ts';
import type { GatewayPlacement, Visibility } from './visibility.ts';

/** Of the translation, as far as it is asked. */
export type MeshAnswers = Pick<
  MeshVisibility,
  'serviceVisible' | 'hidesNothing' | 'version' | 'gateways'
>;

/** What names a Secret: a gateway's listener, or the cluster of somebody who originates TLS. */
type User = { readonly kind: 'listener'; readonly gateway: string } | SecretUser;

interface Use {
  readonly user: User;
  readonly secrets: ReadonlySet<string>;
}

export class MeshScope {
  readonly visibility: Visibility;
  readonly gateways: GatewayPlacement;
  /** by name of the listener or cluster */
  readonly #uses = new Map<string, Use>();
  /** Secret → names of listeners and clusters */
  readonly #users = new Map<string, Set<string>>();
  #version = 0;

  /** `source` is not asked before there is a first client. */
  constructor(source: () => MeshAnswers) {
    this.visibility = {
      serviceVisible: (namespace, service) => source().serviceVisible(namespace, service),
      get hidesNothing() {
        return source().hidesNothing;
      },
      get version() {
        return source().version;
      },
    };
    const version = (): number => this.#version + source().gateways.version;
    this.gateways = {
      runsAt: (gateway, cluster, node) => source().gateways.runsAt(gateway, `${cluster} ${node}`),
      isSecretUsedAt: (secret, { cluster, node, hasScope }) => {
        const { gateways } = source();
        const at = `${cluster} ${node}`;
        for (const user of this.#usersOf(secret)) {
          if (user.kind === 'listener' && gateways.isHomeAt(user.gateway, at)) return true;
          if (user.kind === 'gateways' && gateways.isNamespaceAt(user.namespace, at)) return true;
          if (user.kind === 'pods' && hasScope(user.scope)) return true;
        }
        return false;
      },
      get version() {
        return version();
      },
    };
  }

  /** To be called before the server's apply. */
  apply({ listeners, clusters }: MeshUpdate): void {
    for (const { removals } of [listeners ?? NOTHING, clusters ?? NOTHING]) {
      for (const name of removals) this.#set(name, undefined);
    }
    for (const listener of listeners?.upserts ?? []) {
      const scope = resourceScopeOf(listener.name, true);
      if (scope.kind !== 'gateway') continue;
      const user: User = { kind: 'listener', gateway: scope.gateway };
      this.#set(listener.name, { user, secrets: secretsOf(listener) });
    }
    for (const { name, tls } of clusters?.upserts ?? []) {
      const user = secretUserOf(name);
      const secrets = new Set(namesOf(tls));
      this.#set(name, user && secrets.size > 0 ? { user, secrets } : undefined);
    }
  }

  *#usersOf(secret: string): IterableIterator<User> {
    for (const name of this.#users.get(secret) ?? []) yield this.#uses.get(name)!.user;
  }

  #set(name: string, use: Use | undefined): void {
    const before = this.#uses.get(name);
    if (before === undefined && use === undefined) return;
    for (const secret of before?.secrets ?? []) {
      const users = this.#users.get(secret);
      users?.delete(name);
      if (users?.size === 0) this.#users.delete(secret);
    }
    for (const secret of use?.secrets ?? []) {
      this.#users.set(secret, (this.#users.get(secret) ?? new Set()).add(name));
    }
    if (use === undefined) this.#uses.delete(name);
    else this.#uses.set(name, use);
    this.#version++;
  }
}

const NOTHING = { removals: [] };

function secretsOf({ chains, defaultChain }: Listener): Set<string> {
  const all = [...chains, ...(defaultChain ? [defaultChain] : [])];
  return new Set(all.flatMap(({ tls }) => [...namesOf(tls)]));
}

function* namesOf(tls: TlsParameters | undefined): IterableIterator<string> {
  yield* tls?.certificates ?? [];
  if (tls?.validation?.roots !== undefined) yield tls.validation.roots;
}
