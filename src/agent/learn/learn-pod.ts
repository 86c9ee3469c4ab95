/** What learning and self-healing know of an enrolled pod. */
export interface LearnPod {
  /** cookie of its network namespace */
  readonly netns: bigint;
  readonly netnsPath: string;
  /** number of (workload template, images): struct pod's `workload` */
  readonly workload: number;
  /** the same as a text that is stable across restarts */
  readonly workloadText: string;
  /** false when an annotation decides for every port: nothing needs to be learnt */
  readonly learn: boolean;
}
