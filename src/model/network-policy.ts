/**
 * networking.k8s.io/v1 NetworkPolicy, as far as TCP between pods of one node is concerned. Its enforcement is the CNI's;
 * podwire asks it only what may skip the CNI's eyes.
 */
import type { Prefix } from './ip.ts';

export interface LabelExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** Empty: everything. */
export interface LabelSelector {
  readonly matchLabels: ReadonlyMap<string, string>;
  readonly matchExpressions: readonly LabelExpression[];
}

export type NetworkPeer =
  | {
      readonly type: 'pods';
      /** undefined: all of these namespaces */
      readonly pods: LabelSelector | undefined;
      /** undefined: the policy's own */
      readonly namespaces: LabelSelector | undefined;
    }
  | { readonly type: 'ipBlock'; readonly cidr: Prefix; readonly except: readonly Prefix[] };

export interface NetworkPort {
  /** a number, or the name of a container port of the destination; undefined: all ports */
  readonly port: number | string | undefined;
  /** last port of a range */
  readonly endPort: number | undefined;
}

export interface NetworkRule {
  /** empty: everybody */
  readonly peers: readonly NetworkPeer[];
  /** TCP only; undefined: all ports */
  readonly ports: readonly NetworkPort[] | undefined;
}

export interface NetworkPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly podSelector: LabelSelector;
  /** undefined: it says nothing about who may reach these pods */
  readonly ingress: readonly NetworkRule[] | undefined;
  /** undefined: it says nothing about whom they may reach */
  readonly egress: readonly NetworkRule[] | undefined;
}

export const EVERYTHING: LabelSelector = { matchLabels: new Map(), matchExpressions: [] };

export function selects(
  { matchLabels, matchExpressions }: LabelSelector,
  labels: ReadonlyMap<string, string>,
): boolean {
  for (const [key, value] of matchLabels) if (labels.get(key) !== value) return false;
  return matchExpressions.every(({ key, operator, values }) => {
    const value = labels.get(key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}
