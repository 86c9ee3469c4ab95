/**
 * Policies as the admin API shows them: which pods of this node each is in force for, and where it is decided.
 */
import type { PolicyView } from '../admin/view.ts';
import { policyNames } from '../compile/kernel/policy/cache.ts';
import { rbacText, ruleTexts } from '../model/authorization-text.ts';
import type { Authorization } from '../model/authorization.ts';
import type { Rbac, RbacRules } from '../model/http-filter.ts';
import type { Listener } from '../model/listener.ts';
import type { Snapshot } from '../model/snapshot.ts';

/** A pod of this node. */
export interface PolicyPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** why some or all of its connections are decided in user space */
  readonly userSpace?: string | undefined;
}

export function policyViews(snapshot: Snapshot, pods: readonly PolicyPod[]): PolicyView[] {
  return [...kernelViews(snapshot, pods), ...proxyViews(snapshot, pods)];
}

function kernelViews(snapshot: Snapshot, pods: readonly PolicyPod[]): PolicyView[] {
  const inForce = pods.map((pod) => {
    const workload = snapshot.workloads.get(pod.uid);
    const policies = new Set(workload ? policyNames(snapshot, workload) : []);
    return { name: nameOf(pod), form: formOf(pod), policies };
  });
  return [...snapshot.authorizations].flatMap(([key, policy]) => {
    const concerned = inForce.filter(({ policies }) => policies.has(key));
    const kernel: PolicyView = {
      ...headOf(policy),
      rules: policy.rules.length,
      dryRun: policy.dryRun,
      pods: concerned.filter(({ form }) => form === 'kernel').map(({ name }) => name),
      form: policy.dryRun ? 'none' : 'kernel',
      text: ruleTexts(policy),
    };
    const asked = concerned.filter(({ form }) => form === 'user-space').map(({ name }) => name);
    if (asked.length === 0) return [kernel];
    const userSpace: PolicyView = {
      ...kernel,
      pods: asked,
      form: policy.dryRun ? 'none' : 'user-space',
    };
    return kernel.pods.length > 0 ? [kernel, userSpace] : [userSpace];
  });
}

function formOf({ userSpace }: PolicyPod): 'kernel' | 'user-space' {
  return userSpace === undefined ? 'kernel' : 'user-space';
}

function headOf({ namespace, name, scope, action }: Authorization) {
  return { namespace, name, scope, action };
}

/** What inbound listeners enforce: their name's last part is the workload, or a class of them. */
function proxyViews(snapshot: Snapshot, pods: readonly PolicyPod[]): PolicyView[] {
  const views: PolicyView[] = [];
  for (const listener of snapshot.listeners.values()) {
    if (listener.direction !== 'inbound') continue;
    const owner = listener.name.split('|')[2] ?? '';
    const workload = snapshot.workloads.get(owner);
    const own = pods.filter(({ uid }) => uid === owner).map(nameOf);
    for (const { rules, dryRun } of rulesOf(listener)) {
      for (const [name, policy] of rules.policies) {
        views.push({
          namespace: workload?.namespace ?? owner.split('/')[0] ?? '',
          name,
          scope: 'WORKLOAD_SELECTOR',
          action: rules.action === 'DENY' ? 'DENY' : 'ALLOW',
          rules: 1,
          dryRun,
          pods: own,
          form: dryRun ? 'none' : 'user-space',
          text: [rbacText(policy)],
        });
      }
    }
  }
  return views;
}

function rulesOf(listener: Listener): { rules: RbacRules; dryRun: boolean }[] {
  const chains = [...listener.chains, ...(listener.defaultChain ? [listener.defaultChain] : [])];
  const filters = chains.flatMap(({ handler }) => (handler.type === 'http' ? handler.filters : []));
  return filters.flatMap((filter) => (filter.type === 'rbac' ? modesOf(filter.rbac) : []));
}

function modesOf({ rules, shadow }: Rbac): { rules: RbacRules; dryRun: boolean }[] {
  return [
    ...(rules ? [{ rules, dryRun: false }] : []),
    ...(shadow ? [{ rules: shadow, dryRun: true }] : []),
  ];
}

function nameOf({ namespace, name }: PolicyPod): string {
  return `${namespace}/${name}`;
}
