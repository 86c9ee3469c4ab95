/**
 * The admission webhook of a running control: with its certificate, and its view of the mesh.
 */
import type { ListenAddress } from '../../config/agent-options.ts';
import type { Log } from '../../log.ts';
import { hostPort } from '../../model/host-port.ts';
import type { ServingCredentials } from '../ca/serving-credentials.ts';
import type { ControlCore } from '../core.ts';
import { Webhook } from './server.ts';

export interface WebhookParts {
  /** undefined: none is served */
  readonly listen: ListenAddress | undefined;
  readonly serving: ServingCredentials;
  readonly core: ControlCore;
  /** of the API server that asks; undefined: control reads no cluster */
  readonly cluster: string | undefined;
  readonly log: Log;
}

export interface RunningWebhook {
  /** "HOST:PORT" */
  readonly address: string;
  close(): Promise<void>;
}

/** Throws PodwireError ERR_CONFIG when the address cannot be had. */
export async function startWebhook(parts: WebhookParts): Promise<RunningWebhook | undefined> {
  const { listen, serving, core, cluster } = parts;
  if (listen === undefined) return undefined;
  const log = parts.log.child({ component: 'webhook' });
  const { host, port: asked } = listen;
  const preview: ControlCore['preview'] = (resource) => core.preview(resource);
  const webhook = new Webhook({ ...serving.pair, host, port: asked, cluster, preview, log });
  serving.onPair((pair) => webhook.renew(pair));
  const port = await webhook.start();
  const address = hostPort(host, port);
  log.info({ address }, 'the admission webhook is served');
  return { address, close: () => webhook.close() };
}
