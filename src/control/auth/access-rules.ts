/**
 * Who may read the mesh, and who gets a certificate for which identity.
 *
 * - Only the agents' own accounts read the mesh or ask for others, and an agent only for identities with a pod on its node;
 *   the node is the one its credential proves, never one it names.
 * - An agent gets a certificate of its own account too; a holder of a join token or node certificate one for its node.
 * - Any other pod gets one for itself only if `ownIdentity` allows it.  istiod always does, for its sidecars hold their keys;
 *   here keys stay with the agent, where a pod cannot take them off the node, so the default is no.
 */
import { formatSpiffe, type Identity, parseSpiffe } from '../../model/identity.ts';
import type { Caller } from './caller.ts';
import type { WorkloadDirectory } from './workload-directory.ts';

export interface ServiceAccountName {
  readonly namespace: string;
  readonly serviceAccount: string;
}

export interface AccessRulesOptions {
  readonly trustDomain: string;
  /** accounts of agents */
  readonly agents?: readonly ServiceAccountName[];
  readonly workloads: WorkloadDirectory;
  /** pods may ask for certificates of their own identity */
  readonly ownIdentity?: boolean;
}

/** What a certificate may be made for. */
export type Grant =
  | { readonly kind: 'workload'; readonly identity: Identity }
  | { readonly kind: 'node'; readonly node: string };

/** The reason is for the log; the caller is told no more than that it was refused. */
export class AccessDeniedError extends Error {
  override readonly name = 'AccessDeniedError';
}

export const DEFAULT_AGENT: ServiceAccountName = {
  namespace: 'podwire-system',
  serviceAccount: 'podwire',
};

/** RFC 1123 subdomain, as Kubernetes names nodes and service accounts */
const NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

export function isName(text: string): boolean {
  return NAME.test(text);
}

export class AccessRules {
  readonly #trustDomain: string;
  readonly #agents: ReadonlySet<string>;
  readonly #workloads: WorkloadDirectory;
  readonly #ownIdentity: boolean;

  constructor(options: AccessRulesOptions) {
    const { trustDomain, agents = [DEFAULT_AGENT], workloads, ownIdentity = false } = options;
    this.#trustDomain = trustDomain;
    this.#agents = new Set(agents.map((account) => formatSpiffe({ trustDomain, ...account })));
    this.#workloads = workloads;
    this.#ownIdentity = ownIdentity;
  }

  /** An agent, on a node that its credential proves. A join token only buys a certificate. */
  mayReadMesh(caller: Caller): boolean {
    if (!this.#agents.has(formatSpiffe(caller.identity))) return false;
    switch (caller.credential) {
      case 'kubernetes-token':
        return caller.pod !== undefined && caller.node !== undefined;
      case 'certificate':
        return caller.node !== undefined;
      case 'in-process':
        return true;
      case 'join-token':
        return false;
    }
  }

  /** A gateway's Secrets, for the agent of a node that hosts it. */
  mayReadSecrets(caller: Caller, gateway: ServiceAccountName): boolean {
    return this.#mayActFor(caller, gateway);
  }

  /** `asked` is the identity the caller asks for, as it wrote it. Throws AccessDeniedError. */
  grant(caller: Caller, asked: string | undefined): Grant {
    if (asked !== undefined) return this.#grantAsked(caller, asked);
    const { identity, node, credential } = caller;
    if (credential === 'join-token' || credential === 'certificate') {
      if (node === undefined) throw new AccessDeniedError('the credential is bound to no node');
      return { kind: 'node', node };
    }
    if (this.mayReadMesh(caller)) return { kind: 'workload', identity };
    return this.#grantOwn(caller);
  }

  #grantAsked(caller: Caller, asked: string): Grant {
    const identity = parseSpiffe(asked);
    if (!identity || !isName(identity.namespace) || !isName(identity.serviceAccount)) {
      throw new AccessDeniedError('what was asked for is no identity');
    }
    if (identity.trustDomain !== this.#trustDomain) {
      throw new AccessDeniedError(`${asked} is of another trust domain`);
    }
    if (!this.mayReadMesh(caller)) {
      const own = formatSpiffe(caller.identity) === asked && caller.credential !== 'join-token';
      if (own) return this.#grantOwn(caller);
      throw new AccessDeniedError(`only agents may ask for others; asked for ${asked}`);
    }
    if (!this.#mayActFor(caller, identity)) {
      throw new AccessDeniedError(`${asked} has no pod on node ${caller.node ?? '?'}`);
    }
    return { kind: 'workload', identity };
  }

  #grantOwn({ identity, pod }: Caller): Grant {
    const { trustDomain, namespace, serviceAccount } = identity;
    if (!this.#ownIdentity) throw new AccessDeniedError('pods get no certificates of their own');
    if (pod === undefined) throw new AccessDeniedError('the credential is bound to no pod');
    if (trustDomain !== this.#trustDomain || !isName(namespace) || !isName(serviceAccount)) {
      throw new AccessDeniedError('the identity is not of this trust domain');
    }
    return { kind: 'workload', identity };
  }

  #mayActFor(caller: Caller, { namespace, serviceAccount }: ServiceAccountName): boolean {
    const { node, cluster } = caller;
    if (!this.mayReadMesh(caller) || node === undefined) return false;
    return this.#workloads.hasIdentity({ cluster, node }, namespace, serviceAccount);
  }
}
