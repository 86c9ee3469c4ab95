/**
 * The policies of the mesh: what is sent of them, which of them select a pod from afar, and whose pods a change concerns.
 *
 * A namespace is the same in all clusters, so its policies are those of all its translators.
 */
import type { Authorization } from '../../model/authorization.ts';
import type { Finding } from '../../model/finding.ts';
import type { Delta } from '../../model/messages.ts';
import type { AuthorizationPolicyResource, PodResource } from '../../model/resource.ts';
import type { PeerAuthenticationResource } from '../../model/resource/security.ts';
import { authorizationMessage, authorizationMessageKey } from './authorization.ts';
import { matchesNothing } from './findings.ts';
import { LabelIndex, type Labels } from './label-index.ts';
import type { TranslateOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { PeerAuthentications, type PodScope } from './peer-authentications.ts';

type Policy = AuthorizationPolicyResource;

export class MeshPolicies {
  readonly #options: TranslateOptions;
  readonly #byNamespace = new Map<string, Set<Policy>>();
  readonly #rootSelectors = new LabelIndex<Policy>();
  readonly #peers: PeerAuthentications;
  readonly #outbox = new Outbox<Authorization>();
  /** what root policies with a selector concern, since the last settle() */
  #scopes: PodScope[] = [];

  constructor(options: TranslateOptions) {
    this.#options = options;
    this.#peers = new PeerAuthentications(options.rootNamespace);
  }

  /** The pods of its own namespace are the caller's business. */
  change(policy: Policy, present: boolean): void {
    const options = this.#options;
    const key = authorizationMessageKey(policy, options);
    if (present) this.#outbox.put(key, authorizationMessage(policy, options));
    else this.#outbox.remove(key);
    const policies = this.#byNamespace.get(policy.namespace) ?? new Set();
    if (present) this.#byNamespace.set(policy.namespace, policies.add(policy));
    else policies.delete(policy);
    if (policies.size === 0) this.#byNamespace.delete(policy.namespace);
    if (policy.namespace !== options.rootNamespace || policy.target.type !== 'labels') return;
    const { labels } = policy.target;
    if (present) this.#rootSelectors.add(policy, labels);
    else this.#rootSelectors.delete(policy, labels);
    this.#scopes.push({ namespace: undefined, labels });
  }

  changePeer(peer: PeerAuthenticationResource, present: boolean): void {
    this.#peers.change(peer, present);
  }

  /** The pods to be looked at again; before the pods' messages are made. */
  settle(): readonly PodScope[] {
    const scopes = [...this.#scopes, ...this.#peers.flush(this.#outbox)];
    this.#scopes = [];
    return scopes;
  }

  flush(): Delta<Authorization> {
    return this.#outbox.flush();
  }

  /** Those of the namespace itself. */
  in(namespace: string): Iterable<Policy> {
    return this.#byNamespace.get(namespace) ?? [];
  }

  /** Names of those that select the pod from the root namespace, and of what its PeerAuthentications became. */
  *of(pod: PodResource): IterableIterator<string> {
    for (const policy of this.#rootSelectors.match(pod.labels)) {
      yield authorizationMessageKey(policy, this.#options);
    }
    const peers = this.#peers.policyOf(pod);
    if (peers !== undefined) yield peers;
  }

  findings(
    selectsPod: (policy: Policy, labels: Labels) => boolean,
    podsOf: (namespace: string) => Iterable<PodResource>,
  ): Finding[] {
    const findings = this.#peers.findings(podsOf);
    for (const policies of this.#byNamespace.values()) {
      for (const policy of policies) {
        if (policy.target.type !== 'labels' || selectsPod(policy, policy.target.labels)) continue;
        findings.push(matchesNothing(policy, 'spec.selector.matchLabels'));
      }
    }
    return findings;
  }
}
