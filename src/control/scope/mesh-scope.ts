/**
 * What the translation says of visibility and gateways, and which gateway's listeners use which Secret: what NodeScopes ask.
 */
import type { Listener } from '../../model/listener.ts';
import type { MeshUpdate } from '../../model/messages.ts';
import type { MeshVisibility } from '../translate/l7/mesh-visibility.ts';
import { resourceScopeOf } from './resource-scope.ts';
import type { GatewayPlacement, Visibility } from './visibility.ts';

interface Use {
  readonly gateway: string;
  readonly secrets: ReadonlySet<string>;
}

export class MeshScope {
  readonly visibility: Visibility;
  readonly gateways: GatewayPlacement;
  /** by name of the gateway's listener */
  readonly #uses = new Map<string, Use>();
  /** Secret → names of listeners */
  readonly #users = new Map<string, Set<string>>();
  #version = 0;

  /** `source` is not asked before there is a first client. */
  constructor(source: () => MeshVisibility) {
    this.visibility = {
      serviceVisible: (namespace, service) => source().serviceVisible(namespace, service),
      get hidesNothing() {
        return source().hidesNothing;
      },
      get version() {
        return source().version;
      },
    };
    const version = (): number => this.#version + source().gatewayVersion;
    const runsAt = (gateway: string, node: string): boolean =>
      source().gatewayNodes(gateway).has(node);
    this.gateways = {
      runsAt: (gateway, cluster, node) => runsAt(gateway, `${cluster} ${node}`),
      isSecretUsedAt: (secret, cluster, node) => {
        for (const name of this.#users.get(secret) ?? []) {
          if (runsAt(this.#uses.get(name)!.gateway, `${cluster} ${node}`)) return true;
        }
        return false;
      },
      get version() {
        return version();
      },
    };
  }

  /** To be called before the server's apply. */
  apply({ listeners }: MeshUpdate): void {
    for (const name of listeners?.removals ?? []) this.#set(name, undefined);
    for (const listener of listeners?.upserts ?? []) {
      const scope = resourceScopeOf(listener.name, true);
      if (scope.kind !== 'gateway') continue;
      this.#set(listener.name, { gateway: scope.gateway, secrets: secretsOf(listener) });
    }
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

function secretsOf({ chains, defaultChain }: Listener): Set<string> {
  const secrets = new Set<string>();
  for (const { tls } of [...chains, ...(defaultChain ? [defaultChain] : [])]) {
    for (const name of tls?.certificates ?? []) secrets.add(name);
    if (tls?.validation?.roots !== undefined) secrets.add(tls.validation.roots);
  }
  return secrets;
}
