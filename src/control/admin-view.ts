/**
 * What control's admin socket shows, gathered from its parts.
 */
import type { ControlProcessOptions } from '../config/control-options.ts';
import { packageInfo } from '../config/package.ts';
import type { Readiness } from '../lifecycle/readiness.ts';
import { resourceKeyOf, RESOURCE_ORDER } from '../xds/resource-types.ts';
import type { XdsServer } from '../xds/server/server.ts';
import type { Certification } from './ca/certification.ts';
import type { ControlCore } from './core.ts';
import type { GrpcListener } from './grpc-listener.ts';
import { rootsView, type RootsView } from './roots/roots-view.ts';
import { configView, nodesView, syncView, type ConfigDump, type SyncLine } from './views.ts';

export interface ControlViewParts {
  readonly options: ControlProcessOptions;
  readonly clusterId: string;
  /** names */
  readonly sources: readonly string[];
  readonly readiness: Readiness;
  readonly draining: () => boolean;
  readonly listener: GrpcListener;
  readonly metricsAddress: string | undefined;
  readonly xds: XdsServer;
  readonly core: ControlCore;
  readonly certification: Certification;
  /** "HOST:PORT", once it is served */
  readonly webhookAddress: () => string | undefined;
}

/** GET /v1/webhook: what a ValidatingWebhookConfiguration needs */
export interface WebhookView {
  /** null: not served, or not yet */
  readonly address: string | null;
  readonly path: string;
  /** base64, as clientConfig.caBundle; null: the certificate was given, and so is its root */
  readonly caBundle: string | null;
}

export class ControlView {
  readonly #parts: ControlViewParts;
  readonly #startedAt = new Date();

  constructor(parts: ControlViewParts) {
    this.#parts = parts;
  }

  status(): unknown {
    const { readiness, listener, xds, core, certification, gate } = this.#shown;
    return {
      version: packageInfo().version,
      pid: process.pid,
      startedAt: this.#startedAt.toISOString(),
      uptimeSeconds: Math.round((Date.now() - this.#startedAt.getTime()) / 1000),
      ready: readiness.ready && !this.#parts.draining(),
      blockers: readiness.blockers,
      listen: listener.address,
      metrics: this.#parts.metricsAddress ?? null,
      webhook: this.#parts.webhookAddress() ?? null,
      cluster: this.#parts.clusterId,
      sources: this.#parts.sources,
      resources: Object.fromEntries(RESOURCE_ORDER.map((key) => [key, xds.table.type(key).count])),
      streams: xds.numbers().streams,
      connections: gate,
      rotation: certification.rotation() ?? null,
      findings: core.findings().length,
    };
  }

  nodes(): ReturnType<typeof nodesView> {
    return nodesView(this.#parts.xds);
  }

  findings(): ReturnType<ControlCore['findings']> {
    return this.#parts.core.findings();
  }

  /** Throws SignerUnavailableError. */
  roots(): RootsView {
    const { certification, options } = this.#parts;
    const { authority } = certification;
    return rootsView(options.trustDomain, authority.bundle(), certification.rotation());
  }

  /** Throws SignerUnavailableError. */
  webhook(): WebhookView {
    const { certification, options, webhookAddress } = this.#parts;
    const own = options.tlsFiles === undefined;
    return {
      address: webhookAddress() ?? null,
      path: '/validate',
      caBundle: own ? Buffer.from(certification.authority.bundle()).toString('base64') : null,
    };
  }

  syncz(): readonly SyncLine[] {
    return syncView(this.#parts.xds);
  }

  /** undefined: there is no such type */
  configDump({
    node,
    cluster,
    type,
  }: {
    readonly node: string | undefined;
    readonly cluster: string | undefined;
    readonly type: string | undefined;
  }): ConfigDump | undefined {
    const { options, xds } = this.#parts;
    const key = RESOURCE_ORDER.find((one) => one === type) ?? resourceKeyOf(type ?? '');
    if (type !== undefined && key === undefined) return undefined;
    const identity = { trustDomain: options.trustDomain, ...options.agents[0]! };
    return configView(xds, { identity, node, ...(cluster !== undefined && { cluster }) }, key);
  }

  get #shown(): ControlViewParts & { readonly gate: GrpcListener['gate']['numbers'] } {
    return { ...this.#parts, gate: this.#parts.listener.gate.numbers };
  }
}
