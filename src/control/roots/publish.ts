/**
 * Where others find the roots: ConfigMaps and the webhook's configuration in Kubernetes, a file elsewhere.
 */
import { join } from 'node:path';
import type { ControlProcessOptions } from '../../config/control-options.ts';
import type { Log } from '../../log.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { Clusters } from '../clusters.ts';
import { RootConfigMaps } from './root-config-maps.ts';
import { RootFile } from './root-file.ts';
import { WebhookBundle } from './webhook-bundle.ts';

export interface PublishedRoots {
  /** To be called with the origins of every change: a namespace may be new. */
  changed(origins: Iterable<string>): void;
  close(): Promise<void>;
}

export const ROOT_FILE = 'root-cert.pem';

/** The leader election must run already. */
export function publishRoots(
  options: ControlProcessOptions,
  clusters: Clusters | undefined,
  authority: CertificateAuthority,
  log: Log,
): PublishedRoots {
  const { stateDir } = options;
  const file =
    stateDir === undefined
      ? undefined
      : new RootFile({ path: join(stateDir, ROOT_FILE), authority, log });
  const maps = clusters && rootConfigMaps(options, clusters, authority, log);
  const webhook = clusters && webhookBundle(options, clusters, authority, log);
  const all = [maps, webhook].flatMap((one) => one ?? []);
  const stopWatching = authority.onChange(() => all.forEach((one) => one.poke()));
  for (const one of all) one.start();
  const namespaces = clusters && `${clusters.cluster}/Namespace//`;
  return {
    changed: (origins) => {
      if (maps === undefined || namespaces === undefined) return;
      for (const origin of origins) if (origin.startsWith(namespaces)) return maps.poke();
    },
    close: async () => {
      stopWatching();
      await Promise.all([...all.map((one) => one.close()), file?.close()]);
    },
  };
}

function rootConfigMaps(
  { namespace, rootConfigMap: name }: ControlProcessOptions,
  { client, leader }: Clusters,
  authority: CertificateAuthority,
  log: Log,
): RootConfigMaps | undefined {
  if (name === undefined) return undefined;
  const bundle = (): string => authority.bundle();
  return new RootConfigMaps({ client, leader, namespace, name, bundle, log });
}

/** A certificate that was given has a root of its own, which is the operator's to fill in. */
function webhookBundle(
  { webhook, webhookConfiguration: name, tlsFiles }: ControlProcessOptions,
  { client, leader }: Clusters,
  authority: CertificateAuthority,
  log: Log,
): WebhookBundle | undefined {
  if (webhook === undefined || name === undefined || tlsFiles !== undefined) return undefined;
  return new WebhookBundle({ client, leader, name, bundle: () => authority.bundle(), log });
}
