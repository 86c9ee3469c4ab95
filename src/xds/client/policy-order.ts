/**
 * Order between policies and the workloads that name them.
 *
 * A workload that names a policy which is not there is closed to everybody.  Servers send the two types one after the
 * other, in either order, so that attaching or removing a policy would refuse, for a moment, whom it lets through.  So a
 * workload waits for the policies it names, its earlier version being in force meanwhile, and a policy goes after the
 * last workload that names it.  Both waits are bounded: after them the missing policy closes.
 */
import type { Address, MeshUpdate } from '../../model/messages.ts';
import { addressName } from '../../model/messages.ts';
import { authorizationKey } from '../../model/authorization.ts';

export interface PolicyOrderOptions {
  readonly pass: (update: MeshUpdate, patience: boolean) => void;
  readonly timeoutMs: number;
}

interface Held {
  readonly address: Address;
  readonly policies: readonly string[];
  /** of the monotonic clock */
  readonly deadlineMs: number;
}

type Named = { readonly upserts: Address[]; readonly removals: string[] };

export class PolicyOrder {
  readonly #options: PolicyOrderOptions;
  readonly #inForce = new Set<string>();
  /** policy → how many workloads in force name it */
  readonly #uses = new Map<string, number>();
  /** uid → what it names; only those in force that name any */
  readonly #namedBy = new Map<string, readonly string[]>();
  readonly #held = new Map<string, Held>();
  /** policy → deadline of its removal */
  readonly #leaving = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PolicyOrderOptions) {
    this.#options = options;
  }

  get held(): number {
    return this.#held.size + this.#leaving.size;
  }

  get waiting(): readonly string[] {
    return [
      ...[...this.#held].map(
        ([name, { policies }]) => `addresses ${name} (needs ${this.#missing(policies).join(', ')})`,
      ),
      ...[...this.#leaving.keys()].map(
        (name) =>
          `authorizations ${name} (its removal: still named by ${this.#uses.get(name) ?? 0})`,
      ),
    ];
  }

  /** Passes on what can go now; `patience` false: all of it. */
  stage(update: MeshUpdate, patience = true): void {
    const { addresses, authorizations, ...rest } = update;
    const deadlineMs = performance.now() + (patience ? this.#options.timeoutMs : -1);
    for (const policy of authorizations?.upserts ?? []) {
      const name = authorizationKey(policy);
      this.#inForce.add(name);
      this.#leaving.delete(name);
    }
    for (const name of authorizations?.removals ?? []) this.#leaving.set(name, deadlineMs);
    const named: Named = { upserts: [], removals: [...(addresses?.removals ?? [])] };
    for (const name of named.removals) {
      this.#held.delete(name);
      this.#setNames(name, []);
    }
    for (const address of addresses?.upserts ?? []) {
      const name = addressName(address);
      const policies = address.kind === 'workload' ? address.workload.authorizationPolicies : [];
      const before = this.#held.get(name);
      this.#held.delete(name);
      if (this.#missing(policies).length > 0) {
        // A newer version waits no longer than the first: a pod that changes often must not stay open for ever.
        const first = Math.min(before?.deadlineMs ?? Infinity, deadlineMs);
        this.#held.set(name, { address, policies, deadlineMs: first });
      } else {
        this.#setNames(name, policies);
        named.upserts.push(address);
      }
    }
    this.#release(named);
    const gone = this.#releasePolicies();
    this.#arm();
    const pass: MeshUpdate = {
      ...rest,
      ...((addresses || named.upserts.length > 0) && { addresses: named }),
      ...((authorizations || gone.length > 0) && {
        authorizations: { upserts: authorizations?.upserts ?? [], removals: gone },
      }),
    };
    this.#options.pass(pass, patience);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #release({ upserts }: Named): void {
    const now = performance.now();
    for (const [name, { address, policies, deadlineMs }] of this.#held) {
      if (this.#missing(policies).length > 0 && deadlineMs > now) continue;
      this.#held.delete(name);
      this.#setNames(name, policies);
      upserts.push(address);
    }
  }

  #releasePolicies(): string[] {
    const now = performance.now();
    const gone: string[] = [];
    for (const [name, deadlineMs] of this.#leaving) {
      if (this.#uses.has(name) && deadlineMs > now) continue;
      this.#leaving.delete(name);
      this.#inForce.delete(name);
      gone.push(name);
    }
    return gone;
  }

  /** A policy on its way out is still there, but not for somebody new. */
  #missing(policies: readonly string[]): string[] {
    return policies.filter((name) => !this.#inForce.has(name) || this.#leaving.has(name));
  }

  #setNames(uid: string, policies: readonly string[]): void {
    for (const name of this.#namedBy.get(uid) ?? []) {
      const count = this.#uses.get(name) ?? 0;
      if (count > 1) this.#uses.set(name, count - 1);
      else this.#uses.delete(name);
    }
    if (policies.length > 0) this.#namedBy.set(uid, policies);
    else this.#namedBy.delete(uid);
    for (const name of policies) this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (this.held === 0) return;
    const deadlines = [...this.#leaving.values()];
    for (const { deadlineMs } of this.#held.values()) deadlines.push(deadlineMs);
    const next = deadlines.reduce((least, one) => Math.min(least, one), Infinity);
    // A timer counts whole milliseconds: never wake before the time.
    const afterMs = Math.max(1, Math.ceil(next - performance.now()) + 1);
    this.#timer = setTimeout(() => this.stage({}), afterMs);
  }
}
