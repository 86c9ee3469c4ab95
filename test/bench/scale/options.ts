/**
 * What one run of `podwire bench --scale` is asked to do.
 */
/** control inside the agent, or control and agent as two processes */
export const SCALE_MODES = ['separate', 'embedded'] as const;
export type ScaleMode = (typeof SCALE_MODES)[number];

export interface ScaleOptions {
  readonly mode: ScaleMode;
  readonly pods: number;
  /** pods that are network namespaces of this machine */
  readonly localPods: number;
  /** measured one at a time */
  readonly changes: number;
  /** length of the stream of changes */
  readonly streamSeconds: number;
  /** of the stream */
  readonly changesPerSecond: number;
}

export const MIN_PODS = 100;
/** 2^22 addresses of the pods' range, and a limit for typing errors */
export const MAX_PODS = 1_000_000;
/** a node has no more by default than kubelet's 110 */
const MAX_LOCAL_PODS = 100;

export function scaleOptions(pods: number, mode: ScaleMode, quick: boolean): ScaleOptions {
  return {
    mode,
    pods,
    localPods: Math.min(MAX_LOCAL_PODS, Math.max(2, Math.floor(pods / 100))),
    changes: quick ? 30 : 200,
    streamSeconds: quick ? 2 : 10,
    changesPerSecond: 100,
  };
}
