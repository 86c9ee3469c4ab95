/**
 * Resources → the two messages, change by change.
 *
 * Routes every change to its namespace, owns the nodes, the policies of the root namespace (they select pods everywhere) and
 * what was sent last.
 */
import type { Finding } from '../../model/finding.ts';
import type { Authorization } from '../../model/authorization.ts';
import { equal } from '../../model/equal.ts';
import type { Address, MeshUpdate } from '../../model/messages.ts';
import type {
  AuthorizationPolicyResource,
  NodeResource,
  PodResource,
  Resource,
} from '../../model/resource.ts';
import type { ResourceChange } from '../resource-index.ts';
import { authorizationMessage, authorizationMessageKey } from './authorization.ts';
import { matchesNothing } from './findings.ts';
import { LabelIndex, selects } from './label-index.ts';
import { NamespaceTranslator } from './namespace.ts';
import type { TranslateOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { serviceMessage, serviceMessageKey } from './service.ts';

type Policy = AuthorizationPolicyResource;

export class MeshTranslator {
  readonly #options: TranslateOptions;
  readonly #namespaces = new Map<string, NamespaceTranslator>();
  readonly #nodes = new Map<string, NodeResource>();
  readonly #rootPolicies = new Set<Policy>();
  readonly #rootSelectors = new LabelIndex<Policy>();
  readonly #addresses = new Outbox<Address>();
  readonly #authorizations = new Outbox<Authorization>();

  constructor(options: TranslateOptions) {
    this.#options = options;
  }

  /** The messages that differ after these changes. */
  apply(changes: readonly ResourceChange[]): Required<MeshUpdate> {
    const touched = new Set<NamespaceTranslator>();
    const moved = this.#changeNodes(changes);
    if (moved.size > 0) {
      for (const namespace of this.#namespaces.values()) {
        namespace.invalidateNodes(moved);
        touched.add(namespace);
      }
    }
    // Removals first: a name or an address may have moved to another resource in the same save.
    for (const { before } of changes) {
      if (before !== undefined && before.kind !== 'Node') touched.add(this.#change(before, false));
    }
    for (const { after } of changes) {
      if (after !== undefined && after.kind !== 'Node') touched.add(this.#change(after, true));
    }
    if (changes.some((change) => this.#isRootSelector(change.before ?? change.after))) {
      for (const namespace of this.#namespaces.values()) touched.add(namespace);
      for (const namespace of touched) namespace.invalidate();
    }
    for (const namespace of touched) {
      namespace.flush({
        put: (uid, workload) => this.#addresses.put(uid, { kind: 'workload', workload }),
        remove: (uid) => this.#addresses.remove(uid),
      });
    }
    for (const [name, namespace] of this.#namespaces) {
      if (touched.has(namespace) && namespace.empty) this.#namespaces.delete(name);
    }
    return { addresses: this.#addresses.flush(), authorizations: this.#authorizations.flush() };
  }

  *pods(): IterableIterator<PodResource> {
    for (const namespace of this.#namespaces.values()) yield* namespace.pods();
  }

  findings(): Finding[] {
    const findings = [...this.#namespaces.values()].flatMap((namespace) => namespace.findings());
    for (const policy of this.#rootPolicies) {
      const { target } = policy;
      if (target.type !== 'labels') continue;
      if (!this.#anyPod(target.labels)) {
        findings.push(matchesNothing(policy, 'spec.selector.matchLabels'));
      }
    }
    return findings;
  }

  /** Names of the nodes that are somewhere else now; a node's many other changes matter to nobody here. */
  #changeNodes(changes: readonly ResourceChange[]): Set<string> {
    const moved = new Set<string>();
    for (const { before, after } of changes) {
      const node = after ?? before;
      if (node?.kind !== 'Node') continue;
      const known = this.#nodes.get(node.name);
      if (after === undefined) this.#nodes.delete(node.name);
      else this.#nodes.set(node.name, node);
      if (!equal(known?.locality, this.#nodes.get(node.name)?.locality)) moved.add(node.name);
    }
    return moved;
  }

  #change(resource: Resource, present: boolean): NamespaceTranslator {
    this.#changeOwn(resource, present);
    const namespace = this.#namespace(resource.namespace);
    namespace.change(present ? undefined : resource, present ? resource : undefined);
    return namespace;
  }

  /** What does not depend on any other resource. */
  #changeOwn(resource: Resource, present: boolean): void {
    const options = this.#options;
    if (resource.kind === 'Service') {
      const key = serviceMessageKey(resource, options);
      const service = serviceMessage(resource, options, undefined);
      if (present) this.#addresses.put(key, { kind: 'service', service });
      else this.#addresses.remove(key);
    } else if (resource.kind === 'AuthorizationPolicy') {
      const key = authorizationMessageKey(resource, options);
      if (present) this.#authorizations.put(key, authorizationMessage(resource, options));
      else this.#authorizations.remove(key);
      if (resource.namespace === options.rootNamespace) this.#changeRoot(resource, present);
    }
  }

  #changeRoot(policy: Policy, present: boolean): void {
    if (present) this.#rootPolicies.add(policy);
    else this.#rootPolicies.delete(policy);
    if (policy.target.type !== 'labels') return;
    if (present) this.#rootSelectors.add(policy, policy.target.labels);
    else this.#rootSelectors.delete(policy, policy.target.labels);
  }

  #isRootSelector(resource: Resource | undefined): boolean {
    return (
      resource?.kind === 'AuthorizationPolicy' && resource.namespace === this.#options.rootNamespace
    );
  }

  #namespace(name: string): NamespaceTranslator {
    let namespace = this.#namespaces.get(name);
    if (namespace === undefined) {
      namespace = new NamespaceTranslator(name, this.#options, {
        rootPolicies: (pod) => this.#rootPoliciesOf(pod),
        localityOf: (node) => this.#nodes.get(node)?.locality,
      });
      this.#namespaces.set(name, namespace);
    }
    return namespace;
  }

  *#rootPoliciesOf(pod: PodResource): IterableIterator<string> {
    for (const policy of this.#rootSelectors.match(pod.labels)) {
      yield authorizationMessageKey(policy, this.#options);
    }
  }

  #anyPod(labels: ReadonlyMap<string, string>): boolean {
    for (const pod of this.pods()) if (selects(labels, pod.labels)) return true;
    return false;
  }
}
