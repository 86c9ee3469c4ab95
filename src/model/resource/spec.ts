/**
 * What the typed Istio and Gateway API resources share.  Specs are in the JSON shape of their CRDs: camelCase, defaults of
 * the schema filled in, durations still texts ("1.5s"), absent fields undefined.  Validation has seen every field.
 */
import type { ResourceMeta } from '../resource.ts';

export interface SpecResource<K extends string, S> extends ResourceMeta {
  readonly kind: K;
  readonly spec: S;
}

export type Labels = Readonly<Record<string, string>>;

/** spec.selector of security resources and Telemetry */
export interface LabelSelector {
  readonly matchLabels?: Labels;
}

/** spec.workloadSelector of networking resources */
export interface WorkloadSelector {
  readonly labels?: Labels;
}

/** Of security resources: the resource that is protected, instead of a selector. */
export interface PolicyTargetReference {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

/** Exactly one is set. */
export interface StringMatchSpec {
  readonly exact?: string;
  readonly prefix?: string;
  /** RE2, whole value */
  readonly regex?: string;
}

/** 0.0 to 100.0 */
export interface Percent {
  readonly value?: number;
}

export interface PortSelector {
  readonly number?: number;
}

/** A port of a Gateway, a ServiceEntry or a Sidecar. */
export interface PortSpec {
  readonly number?: number;
  readonly protocol?: string;
  readonly name?: string;
  readonly targetPort?: number;
}
