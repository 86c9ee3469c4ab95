/**
 * The roots in the ValidatingWebhookConfiguration that names control's webhook, as istiod keeps its own: the API server
 * knows control by them.  All of them during a rotation, so that it knows the webhook before and after.
 *
 * Only the leader writes, only what differs, and only into a configuration that somebody has made.
 *
 * Rights it needs: get and update of validatingwebhookconfigurations of that name (resourceNames).
 */
import type { Log } from '../../log.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import type { KubernetesError } from '../kubernetes/error.ts';
import { isOvertaken, LeaderUpkeep } from './leader-upkeep.ts';

export interface WebhookBundleOptions {
  readonly client: KubernetesClient;
  readonly leader: { readonly leading: boolean };
  /** of the ValidatingWebhookConfiguration */
  readonly name: string;
  /** PEM; may throw while the roots cannot be read */
  readonly bundle: () => string;
  readonly log: Log;
  readonly resyncMs?: number;
}

interface Configuration {
  readonly webhooks?: readonly {
    readonly clientConfig: { readonly caBundle?: string };
  }[];
}

const COLLECTION = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';
const REQUEST_MS = 10_000;
/** One small request, and a configuration that was just applied is of no use before. */
const RESYNC_MS = 10_000;

export class WebhookBundle {
  readonly #options: WebhookBundleOptions;
  readonly #upkeep: LeaderUpkeep;

  constructor(options: WebhookBundleOptions) {
    this.#options = options;
    const { leader, name, log, resyncMs = RESYNC_MS } = options;
    this.#upkeep = new LeaderUpkeep({
      leader,
      compare: (signal) => this.#compare(signal),
      failure: `the roots cannot be put into the ValidatingWebhookConfiguration ${name}`,
      log,
      resyncMs,
    });
  }

  start(): void {
    this.#upkeep.start();
  }

  /** The roots have changed. */
  poke(): void {
    this.#upkeep.poke();
  }

  async close(): Promise<void> {
    await this.#upkeep.close();
  }

  async #compare(signal: AbortSignal): Promise<void> {
    const { client, leader, name, bundle, log } = this.#options;
    const caBundle = Buffer.from(bundle()).toString('base64');
    const path = `${COLLECTION}/${name}`;
    const options = { timeoutMs: REQUEST_MS, signal };
    try {
      const found = (await client.call(path, options)) as Configuration;
      const webhooks = found.webhooks ?? [];
      if (webhooks.every(({ clientConfig }) => clientConfig.caBundle === caBundle)) return;
      if (signal.aborted || !leader.leading) return;
      const filled = webhooks.map((webhook) => ({
        ...webhook,
        clientConfig: { ...webhook.clientConfig, caBundle },
      }));
      // It carries the version that was read.
      const body = { ...found, webhooks: filled };
      await client.call(path, { ...options, method: 'PUT', body });
      log.info({ name }, 'the roots were put into the webhook configuration');
    } catch (error) {
      if (!isOvertaken(error)) throw error;
      if ((error as KubernetesError).status === 409) this.#upkeep.poke();
    }
  }
}
