/**
 * telemetry.istio.io Telemetry.
 */
import type { LabelSelector, PolicyTargetReference, SpecResource } from './spec.ts';

export type TelemetryResource = SpecResource<'Telemetry', TelemetrySpec>;

export type WorkloadMode = 'CLIENT_AND_SERVER' | 'CLIENT' | 'SERVER';

interface ProviderRef {
  readonly name: string;
}

export interface TelemetrySpec {
  readonly selector?: LabelSelector;
  readonly targetRef?: PolicyTargetReference;
  readonly targetRefs?: readonly PolicyTargetReference[];
  readonly tracing?: readonly TracingSpec[];
  readonly metrics?: readonly MetricsSpec[];
  readonly accessLogging?: readonly AccessLoggingSpec[];
}

export interface TracingSpec {
  readonly match?: { readonly mode?: WorkloadMode };
  readonly providers?: readonly ProviderRef[];
  /** 0.0 to 100.0; absent: inherited */
  readonly randomSamplingPercentage?: number | null;
  readonly disableSpanReporting?: boolean | null;
  readonly customTags?: Readonly<Record<string, CustomTag>>;
  readonly enableIstioTags?: boolean | null;
  readonly useRequestIdForTraceSampling?: boolean | null;
}

export interface CustomTag {
  readonly literal?: { readonly value: string };
  readonly environment?: { readonly name: string; readonly defaultValue?: string };
  readonly header?: { readonly name: string; readonly defaultValue?: string };
}

export interface MetricsSpec {
  readonly providers?: readonly ProviderRef[];
  readonly overrides?: readonly MetricsOverride[];
  readonly reportingInterval?: string;
}

export interface MetricsOverride {
  readonly match?: {
    readonly metric?: string;
    readonly customMetric?: string;
    readonly mode?: WorkloadMode;
  };
  readonly disabled?: boolean | null;
  readonly tagOverrides?: Readonly<
    Record<string, { readonly operation?: 'UPSERT' | 'REMOVE'; readonly value?: string }>
  >;
}

export interface AccessLoggingSpec {
  readonly match?: { readonly mode?: WorkloadMode };
  readonly providers?: readonly ProviderRef[];
  readonly disabled?: boolean | null;
  /** CEL */
  readonly filter?: { readonly expression?: string };
}
