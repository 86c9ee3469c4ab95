/**
 * The one writer of kernel state: takes plan operations in the order diff.ts gives them and makes the maps and the pods'
 * programs say the same. An operation the kernel refuses (a full map) is said, kept and tried again; the others still apply.
 */
import { NO_NETWORK_RULES, type NetworkRules } from '../compile/kernel/network.ts';
import type { PlanOperation } from '../compile/kernel/diff.ts';
import type { KernelPlan } from '../compile/kernel/plan.ts';
import type { Log } from '../log.ts';
import { NetworkTable } from './network-table.ts';
import type { PodFailure } from './pod-failure.ts';
import { PodTable, type CapturedPod, type PodTableOptions } from './pod-table.ts';
import { PolicyTables } from './policy-tables.ts';
import { ServiceTable } from './service-table.ts';
import { TunnelTable } from './tunnel-table.ts';

export type ReconcilerOptions = Omit<PodTableOptions, 'policies'>;

export class Reconciler {
  readonly services: ServiceTable;
  readonly #pods: PodTable;
  readonly #policies: PolicyTables;
  readonly #tunnels: TunnelTable;
  readonly #network: NetworkTable;
  #networkRules = NO_NETWORK_RULES;
  readonly #log: Log;
  /** refused by the kernel, by map and key; with what was last logged of each */
  readonly #refused = new Map<string, { operation: PlanOperation; message: string }>();
  #plan: KernelPlan | undefined;
  #revision = 0;

  constructor(options: ReconcilerOptions) {
    const { binding, path, log } = options;
    this.#log = log;
    const map = (name: string) => path.map(name);
    this.#policies = new PolicyTables({ binding, map });
    this.services = new ServiceTable(map);
    this.#tunnels = new TunnelTable(map);
    this.#network = new NetworkTable({ map, log });
    this.#pods = new PodTable({ ...options, policies: this.#policies });
  }

  captured(): readonly CapturedPod[] {
    return this.#pods.captured();
  }

  failures(): readonly PodFailure[] {
    return this.#pods.failures();
  }

  /** grows before numbers of pods get another meaning */
  get revision(): number {
    return this.#revision;
  }

  /** uid of the pod that has, or last had, this number */
  uidOf(id: number): string | undefined {
    return this.#pods.uidOf(id);
  }

  /** number of the identity a captured pod has now, 0: none */
  identityOf(pod: number): number {
    return this.#pods.byUid(this.#pods.uidOf(pod) ?? '')?.entry.identity ?? 0;
  }

  /** Why some or all connections to a pod are decided in user space; undefined: none is. */
  userSpace(uid: string): string | undefined {
    return this.#pods.userSpace(uid);
  }

  apply(operations: readonly PlanOperation[], plan: KernelPlan): void {
    this.#plan = plan;
    this.#revision++;
    this.#pods.setPlan(plan);
    const puts = (wanted: 'policies' | 'pods'): PlanOperation[] =>
      operations.filter(({ map, op }) => map === wanted && op === 'put');
    const [policies, pods] = [puts('policies'), puts('pods')];
    for (const operation of operations) {
      if (operation === policies[0]) this.#writePolicies(policies.map(({ key }) => key));
      if (operation === pods[0]) this.#pods.introduce(pods.map(({ key }) => key));
      this.#try(operation, plan);
    }
  }

  /** What NetworkPolicies let talk; true when it was another thing before. */
  setNetwork(rules: NetworkRules): boolean {
    const changed = rules !== this.#networkRules;
    this.#networkRules = rules;
    this.#writeNetwork();
    return changed;
  }

  /** Numbers of pods come and go with their capture. */
  #writeNetwork(): void {
    try {
      this.#network.write(this.#networkRules, (uid) => this.#pods.byUid(uid)?.id);
    } catch (err) {
      this.#log.error({ err }, 'the kernel refused what NetworkPolicies say: it is tried again');
    }
  }

  #writePolicies(uids: readonly string[]): void {
    try {
      this.#pods.writePolicies(uids);
    } catch {
      /* then one by one: what the kernel refuses is kept and tried again */
    }
  }

  /** operations the kernel refused */
  get pending(): number {
    return this.#refused.size;
  }

  /** Pods whose namespace was missing, operations that were refused. */
  retry(): void {
    this.#revision++;
    this.#pods.retry();
    this.#writeNetwork();
    if (!this.#plan) return;
    for (const { operation } of [...this.#refused.values()]) this.#try(operation, this.#plan);
  }

  /** After the first plan of an agent that adopted maps: removes what the mesh no longer has. */
  prune(): void {
    if (!this.#plan) return;
    this.#pods.prune(this.#plan);
    this.#policies.prune(
      new Set(this.captured().map(({ id }) => id)),
      new Set([...this.#plan.cidrTables.keys()].map(Number)),
    );
    this.services.prune();
    this.#tunnels.prune(this.#plan.tunnels);
  }

  #try(operation: PlanOperation, plan: KernelPlan): void {
    const name = `${operation.map} ${operation.key}`;
    try {
      this.#one(operation, plan);
      this.#refused.delete(name);
    } catch (err) {
      const { message } = err as Error;
      if (this.#refused.get(name)?.message !== message) {
        this.#log.error(
          { err, map: operation.map, key: operation.key },
          'the kernel refused a change: it is tried again',
        );
      }
      this.#refused.set(name, { operation, message });
    }
  }

  #one(operation: PlanOperation, plan: KernelPlan): void {
    switch (operation.map) {
      case 'cidrTables': {
        const table = Number(operation.key);
        if (operation.op === 'put') this.#policies.putRules(table, operation.value);
        else this.#policies.deleteRules(table, operation.before);
        break;
      }
      case 'policies': {
        const entry = plan.pods.get(operation.key);
        if (operation.op === 'delete') this.#pods.deletePolicy(operation.key);
        else if (entry) this.#pods.writePolicy(entry);
        break;
      }
      case 'tunnels':
        if (operation.op === 'put') this.#tunnels.put(operation.key, operation.value);
        else this.#tunnels.delete(operation.key);
        break;
      case 'slots':
        break; /* written with their service, whose operation always comes with it */
      case 'services':
        if (operation.op === 'put') this.services.put(operation.value);
        else this.services.delete(operation.before);
        break;
      case 'portModes':
        if (operation.op === 'put') {
          const { uid, port, mode } = operation.value;
          this.#pods.writePortMode(uid, port, mode);
        } else {
          this.#pods.deletePortMode(operation.before.uid, operation.before.port);
        }
        break;
      case 'pods':
        if (operation.op === 'put') this.#pods.capture(operation.value);
        else this.#pods.release(operation.before.uid);
        break;
      case 'locals':
        if (operation.op === 'put')
          this.#pods.writeLocal(operation.value.addr, operation.value.uid);
        else this.#pods.deleteLocal(operation.before.addr);
        break;
    }
  }
}
