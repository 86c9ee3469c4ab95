/**
 * What one run of the bench is asked to do.
 */
export const ONE_NODE_VARIANTS = ['plain', 'podwire', 'sidecar', 'sidecar-mtls', 'unix'] as const;
export const TWO_NODE_VARIANTS = [
  'plain',
  'podwire',
  'podwire-node-tls',
  'envoy-hbone',
  'sidecar-mtls',
] as const;
export const VARIANT_NAMES = [
  'plain',
  'podwire',
  'podwire-node-tls',
  'envoy-hbone',
  'sidecar',
  'sidecar-mtls',
  'unix',
] as const;
export type VariantName = (typeof VARIANT_NAMES)[number];

export type HttpServer = 'bench-httpd' | 'nginx';

export interface BenchOptions {
  readonly variants: readonly VariantName[];
  /** client and server on a node each, and what is between them encrypted */
  readonly twoNodes?: {
    /** how many are weighed; 0: none */
    readonly idleConnections: number;
  };
  /** names of shapes.ts, checked */
  readonly shapes: readonly string[];
  readonly rounds: number;
  /** of each measurement, without its warm-up */
  readonly seconds: number;
  /** no further round is begun that would end later than this after the start */
  readonly limitSeconds: number;
  /** filter rules that match nothing, in OUTPUT and in INPUT of every pod */
  readonly iptablesRules: number;
  readonly httpServer: HttpServer;
  /** `-free` shapes: the scheduler places both ends; otherwise each end has a CPU of its own */
  readonly unpinned: boolean;
  /** measure podwire's BPF programs one by one */
  readonly hooks?: boolean;
}

export const QUICK = {
  rounds: 3,
  seconds: 0.5,
  limitSeconds: 165,
  idleConnections: 1_000,
} as const;
export const THOROUGH = {
  rounds: 7,
  seconds: 1,
  limitSeconds: 3600,
  idleConnections: 10_000,
} as const;
