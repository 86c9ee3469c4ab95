/**
 * Which CA control has and whom it knows, by its options.
 */
import { join } from 'node:path';
import { defaultHosts, type ControlProcessOptions } from '../config/control-options.ts';
import { PodwireError } from '../errors.ts';
import type { Log } from '../log.ts';
import { JoinRegistry } from './auth/join-registry.ts';
import type { WorkloadIndex } from './auth/workload-directory.ts';
import type { CertificationOptions } from './ca/certification.ts';
import { FileRootStore } from './ca/file-root-store.ts';
import { SecretRootStore } from './ca/secret-root-store.ts';
import type { Clusters } from './clusters.ts';

export interface CertificationParts {
  readonly clusters: Clusters | undefined;
  readonly workloads: WorkloadIndex;
  readonly onAuthenticated: (peer: string) => void;
  readonly log: Log;
}

/** Throws PodwireError. */
export async function certificationOptions(
  options: ControlProcessOptions,
  { clusters, workloads, onAuthenticated, log }: CertificationParts,
): Promise<CertificationOptions> {
  const { trustDomain, stateDir, caFiles, agents, hosts, namespace } = options;
  const registry =
    stateDir === undefined ? undefined : await JoinRegistry.open(join(stateDir, 'join'));
  return {
    trustDomain,
    roots:
      caFiles !== undefined
        ? { kind: 'given', files: caFiles }
        : { kind: 'own', store: rootStore(stateDir, clusters, namespace) },
    workloads,
    registry,
    kubernetes: clusters?.authenticator,
    agents,
    hosts: hosts.length > 0 ? hosts : defaultHosts(namespace),
    servingFiles: options.tlsFiles,
    onAuthenticated,
    log: log.child({ component: 'ca' }),
  };
}

/** Replicas in Kubernetes share a Secret; those elsewhere share a folder, or are given the root. */
function rootStore(
  stateDir: string | undefined,
  clusters: Clusters | undefined,
  namespace: string,
): FileRootStore | SecretRootStore {
  if (stateDir !== undefined) return new FileRootStore(join(stateDir, 'ca'));
  if (clusters !== undefined) return new SecretRootStore({ client: clusters.client, namespace });
  throw new PodwireError('ERR_BAD_OPTION', 'the CA has no place for its root', {
    hint: 'name a folder: --state-dir DIR',
  });
}
