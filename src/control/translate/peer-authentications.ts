/**
 * The PeerAuthentications of the mesh: which are in force for a workload, and whose policies change with them.
 *
 * Of several for one namespace, for the mesh, or for one pod the oldest is in force.  One of the root namespace is for the
 * whole mesh; its selector selects nothing, as in Istio's ambient mode.
 */
import type { Authorization } from '../../model/authorization.ts';
import { authorizationKey } from '../../model/authorization.ts';
import type { Finding } from '../../model/finding.ts';
import type { PodResource } from '../../model/resource.ts';
import type { PeerAuthenticationResource } from '../../model/resource/security.ts';
import { isBefore } from '../validate/mesh/age.ts';
import { rootSelectorUnused, selectedByOlder } from './findings.ts';
import { LabelIndex, type Labels } from './label-index.ts';
import type { Outbox } from './outbox.ts';
import { wideMode, type AppliedPeers, type EffectiveMtls } from './peer-mtls.ts';
import {
  convertedName,
  convertedPolicy,
  peerPolicyKey,
  staticStrictPolicy,
} from './peer-policy.ts';

type Peer = PeerAuthenticationResource;

/** Pods whose policies may be others now. */
export interface PodScope {
  /** undefined: of every namespace */
  readonly namespace: string | undefined;
  /** undefined: all of them */
  readonly labels: Labels | undefined;
}

interface NamespacePeers {
  /** without a selector, oldest first */
  readonly wide: Peer[];
  readonly narrow: Set<Peer>;
  readonly selectors: LabelIndex<Peer>;
  /** as last looked at */
  mode: EffectiveMtls;
}

export class PeerAuthentications {
  readonly #rootNamespace: string;
  readonly #byNamespace = new Map<string, NamespacePeers>();
  /** namespaces, and of those that select pods the ones that came or went since the last flush */
  readonly #stale = new Set<string>();
  readonly #touched = new Set<Peer>();
  #scopes: PodScope[] = [];
  #count = 0;
  #meshMode: EffectiveMtls = 'PERMISSIVE';

  constructor(rootNamespace: string) {
    this.#rootNamespace = rootNamespace;
  }

  change(peer: Peer, present: boolean): void {
    const { namespace } = peer;
    const peers = this.#byNamespace.get(namespace) ?? {
      wide: [],
      narrow: new Set(),
      selectors: new LabelIndex(),
      mode: this.#meshMode,
    };
    this.#byNamespace.set(namespace, peers);
    this.#count += present ? 1 : -1;
    this.#stale.add(namespace);
    const labels = labelsOf(peer);
    if (labels.size === 0) {
      if (present) peers.wide.push(peer);
      else peers.wide.splice(peers.wide.indexOf(peer), 1);
      peers.wide.sort(byAge);
      return;
    }
    this.#touched.add(peer);
    if (present) {
      peers.narrow.add(peer);
      peers.selectors.add(peer, labels);
    } else {
      peers.narrow.delete(peer);
      peers.selectors.delete(peer, labels);
    }
    if (namespace !== this.#rootNamespace) this.#scopes.push({ namespace, labels });
  }

  /** The pods that changes since the last call may concern; the policies go to the outbox. */
  flush(outbox: Outbox<Authorization>): readonly PodScope[] {
    if (this.#stale.size === 0) return [];
    this.#flushMesh(outbox);
    // Removals first: a name may have gone from one to another.
    for (const peer of this.#touched) outbox.remove(authorizationKey(convertedName(peer)));
    for (const namespace of this.#stale) this.#flushNamespace(namespace, outbox);
    this.#stale.clear();
    this.#touched.clear();
    const scopes = this.#scopes;
    this.#scopes = [];
    return scopes;
  }

  /** Key of the policy that its modes became; undefined: there is nothing to refuse. */
  policyOf({ namespace, labels }: Pick<PodResource, 'namespace' | 'labels'>): string | undefined {
    if (this.#count === 0) return undefined;
    const [workload] = this.#selecting(namespace, labels);
    return peerPolicyKey({ workload, ...this.#wide(namespace) }, this.#rootNamespace);
  }

  /** `podsOf`: the pods of a namespace */
  findings(podsOf: (namespace: string) => Iterable<PodResource>): Finding[] {
    const findings: Finding[] = [];
    for (const [namespace, { narrow }] of this.#byNamespace) {
      if (namespace === this.#rootNamespace) {
        for (const peer of narrow) findings.push(rootSelectorUnused(peer));
        continue;
      }
      if (narrow.size < 2) continue;
      const told = new Set<Peer>();
      for (const pod of podsOf(namespace)) {
        const [oldest, ...others] = this.#selecting(namespace, pod.labels);
        for (const peer of others) {
          if (!told.has(peer)) findings.push(selectedByOlder(peer, oldest!, pod));
          told.add(peer);
        }
      }
    }
    return findings;
  }

  #flushMesh(outbox: Outbox<Authorization>): void {
    // As soon as there is any PeerAuthentication, as istiod: a workload that comes to list it need not wait for it.
    const strict = staticStrictPolicy(this.#rootNamespace);
    if (this.#count > 0) outbox.put(authorizationKey(strict), strict);
    else outbox.remove(authorizationKey(strict));
    const mode = wideMode(this.#wide(this.#rootNamespace));
    if (mode === this.#meshMode) return;
    this.#meshMode = mode;
    this.#scopes.push({ namespace: undefined, labels: undefined });
    for (const namespace of this.#byNamespace.keys()) this.#stale.add(namespace);
  }

  #flushNamespace(namespace: string, outbox: Outbox<Authorization>): void {
    const peers = this.#byNamespace.get(namespace)!;
    const wide = this.#wide(namespace);
    const mode = wideMode(wide);
    const moved = mode !== peers.mode;
    if (moved) this.#scopes.push({ namespace, labels: undefined });
    peers.mode = mode;
    for (const peer of namespace === this.#rootNamespace ? [] : peers.narrow) {
      if (!moved && !this.#touched.has(peer)) continue;
      const key = authorizationKey(convertedName(peer));
      const policy = convertedPolicy({ workload: peer, ...wide });
      if (policy === undefined) outbox.remove(key);
      else outbox.put(key, policy);
    }
    if (peers.wide.length + peers.narrow.size === 0) this.#byNamespace.delete(namespace);
  }

  #selecting(namespace: string, labels: Labels): Peer[] {
    if (namespace === this.#rootNamespace) return [];
    return [...(this.#byNamespace.get(namespace)?.selectors.match(labels) ?? [])].sort(byAge);
  }

  #wide(namespace: string): Pick<AppliedPeers, 'namespace' | 'mesh'> {
    const mesh = this.#byNamespace.get(this.#rootNamespace)?.wide[0];
    const isRoot = namespace === this.#rootNamespace;
    return { mesh, namespace: isRoot ? undefined : this.#byNamespace.get(namespace)?.wide[0] };
  }
}

function byAge(a: Peer, b: Peer): number {
  return isBefore(a, b) ? -1 : 1;
}

/** Of its selector; none: it selects all pods, and its ports mean nothing. */
function labelsOf({ spec }: Peer): Labels {
  return new Map(Object.entries(spec.selector?.matchLabels ?? {}));
}
