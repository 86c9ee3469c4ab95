/**
 * Where agents find the roots: ConfigMaps in Kubernetes, a file elsewhere.
 */
import { join } from 'node:path';
import type { ControlProcessOptions } from '../../config/control-options.ts';
import type { Log } from '../../log.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { Clusters } from '../clusters.ts';
import { RootConfigMaps } from './root-config-maps.ts';
import { RootFile } from './root-file.ts';

export interface PublishedRoots {
  /** To be called with the origins of every change: a namespace may be new. */
  changed(origins: Iterable<string>): void;
  close(): Promise<void>;
}

export const ROOT_FILE = 'root-cert.pem';

/** The leader election must run already. */
export function publishRoots(
  { stateDir, namespace, rootConfigMap }: ControlProcessOptions,
  clusters: Clusters | undefined,
  authority: CertificateAuthority,
  log: Log,
): PublishedRoots {
  const file =
    stateDir === undefined
      ? undefined
      : new RootFile({ path: join(stateDir, ROOT_FILE), authority, log });
  if (clusters === undefined || rootConfigMap === undefined) {
    return { changed: () => {}, close: async () => file?.close() };
  }
  const { client, leader, cluster } = clusters;
  const bundle = (): string => authority.bundle();
  const maps = new RootConfigMaps({ client, leader, namespace, name: rootConfigMap, bundle, log });
  const stopWatching = authority.onChange(() => maps.poke());
  maps.start();
  const namespaces = `${cluster}/Namespace//`;
  return {
    changed: (origins) => {
      for (const origin of origins) if (origin.startsWith(namespaces)) return maps.poke();
    },
    close: async () => {
      stopWatching();
      await Promise.all([maps.close(), file?.close()]);
    },
  };
}
