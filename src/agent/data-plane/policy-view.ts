/**
 * What policy says of a connection to one of this node's pods, in the thread that serves it: the same evaluator and the same
 * policies as everywhere, arranged once per pod.
 *
 * Pure: it changes with the messages of the main thread and with nothing else. A pod it has not been told of lets nobody in.
 */
import type { Connection, Decision } from '../../compile/kernel/policy/evaluate.ts';
import { RuleIndex } from '../../compile/kernel/policy/rule-index.ts';
import type { Authorization } from '../../model/authorization.ts';

/** Changes only; policies before the pods that name them. */
export interface PolicyChanges {
  /** by key; null: no pod of this node names it any more */
  readonly policies: readonly (readonly [string, Authorization | null])[];
  /** by uid: keys of the policies in force, sorted; null: the pod is gone */
  readonly pods: readonly (readonly [string, readonly string[] | null])[];
  /** identities of this node's pods */
  readonly identities: readonly (readonly [number, string])[];
}

export class PolicyView {
  readonly #policies = new Map<string, Authorization>();
  readonly #pods = new Map<string, readonly string[]>();
  readonly #identities = new Map<number, string>();
  /** by uid, made when the pod is asked for */
  readonly #indexes = new Map<string, RuleIndex>();

  update({ policies, pods, identities }: PolicyChanges): void {
    const changed = new Set<string>();
    for (const [key, policy] of policies) {
      changed.add(key);
      if (policy === null) this.#policies.delete(key);
      else this.#policies.set(key, policy);
    }
    for (const [uid, keys] of pods) {
      this.#indexes.delete(uid);
      if (keys === null) this.#pods.delete(uid);
      else this.#pods.set(uid, keys);
    }
    for (const [uid, keys] of this.#pods) {
      if (keys.some((key) => changed.has(key))) this.#indexes.delete(uid);
    }
    for (const [number, spiffe] of identities) this.#identities.set(number, spiffe);
  }

  /** SPIFFE id of a number that a provenance record carries; undefined: not known (yet) */
  identity(number: number): string | undefined {
    return this.#identities.get(number);
  }

  /** `rule` and `policy` are undefined where none decided: no ALLOW matched, or there is no policy. */
  allows(podUid: string, connection: Connection): Decision {
    return this.#index(podUid)?.evaluate(connection) ?? REFUSED;
  }

  #index(uid: string): RuleIndex | undefined {
    const known = this.#indexes.get(uid);
    if (known) return known;
    const keys = this.#pods.get(uid);
    if (keys === undefined) return undefined;
    const policies: Authorization[] = [];
    for (const key of keys) {
      const policy = this.#policies.get(key);
      if (policy === undefined) return undefined;
      policies.push(policy);
    }
    const index = new RuleIndex(policies);
    this.#indexes.set(uid, index);
    return index;
  }
}

const REFUSED: Decision = { allowed: false, policy: undefined, rule: undefined };
