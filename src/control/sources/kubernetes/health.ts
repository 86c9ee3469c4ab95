/**
 * Whether a cluster can be read, and what is said when it cannot.
 */
import type { Finding, FindingCode } from '../../../model/finding.ts';
import type { KubernetesError } from '../../kubernetes/error.ts';
import type { KubernetesKind } from './kinds.ts';

export class ClusterHealth {
  readonly #cluster: string;
  readonly #server: string;
  readonly #failing = new Map<KubernetesKind | 'discovery', KubernetesError>();

  constructor(cluster: string, server: string) {
    this.#cluster = cluster;
    this.#server = server;
  }

  /** undefined: it is well */
  set(part: KubernetesKind | 'discovery', error: KubernetesError | undefined): void {
    if (error === undefined) this.#failing.delete(part);
    else this.#failing.set(part, error);
  }

  isFailing(part: KubernetesKind | 'discovery'): boolean {
    return this.#failing.has(part);
  }

  /** undefined: all of it can be read */
  finding(): Finding | undefined {
    const [error] = this.#failing.values();
    if (error === undefined) return undefined;
    return errorAbout('CLUSTER_UNAVAILABLE', `kubernetes/${this.#cluster}`, '', {
      message: `cluster ${this.#cluster} cannot be read (${error.message}); its last state stays in force`,
      fix: `see whether ${this.#server} answers and the credentials are valid`,
    });
  }
}

export function errorAbout(
  code: FindingCode,
  file: string,
  resource: string,
  text: Pick<Finding, 'message' | 'fix'>,
): Finding {
  return { code, severity: 'error', file, resource, path: '', ...text };
}
