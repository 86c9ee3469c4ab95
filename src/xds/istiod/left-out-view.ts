/**
 * What a foreign control plane's answers leave out, for who looks: read when it is asked for, and kept for some seconds.
 */
import type { SharedMap } from '../../model/shared-map.ts';
import type { Service } from '../../model/service.ts';
import type { XdsServer } from '../client/channel.ts';
import { CONTROL, isIstiod } from '../client/control-plane-name.ts';
import type { XdsStatus } from '../client/status.ts';
import type { ResourceKey } from '../resource-types.ts';
import {
  readIstioConfig,
  type IstioConfig,
  type IstioConfigReaderOptions,
} from './config-reader.ts';
import { leftOutOf, type LeftOutResource } from './left-out.ts';

/** Plain JSON. */
export interface LeftOut {
  /** "istiod 1.25.0"; "": it does not say */
  readonly controlPlane: string;
  /** types that are not asked for, and why */
  readonly types: readonly ResourceKey[];
  readonly reason: string;
  readonly fix: string;
  /** of istiod: what users wrote that is not in force here, or not as written */
  readonly resources: readonly LeftOutResource[];
  /** why resources cannot be named, "" */
  readonly error: string;
}

export interface LeftOutViewOptions extends IstioConfigReaderOptions {
  readonly servers: readonly XdsServer[];
  readonly linked: 'auto' | 'on' | 'off';
  readonly keptMs?: number;
}

interface Read {
  /** undefined: there never was one */
  readonly config: IstioConfig | undefined;
  /** "" */
  readonly error: string;
}

const KEPT_MS = 10_000;
/** A server that has no such thing is not asked at every look. */
const FAILURE_KEPT_MS = 60_000;
const LINKED: readonly ResourceKey[] = [
  'listeners',
  'routes',
  'clusters',
  'loadAssignments',
  'secrets',
];
const NOTHING: Read = { config: undefined, error: '' };
const REASON =
  "they are computed for the agent's own namespace, which says nothing of its pods' namespaces";
const FIX =
  'put podwire control before it: --xds CONTROL:15012,… (podwire control --kubernetes reads what istiod reads)';

export class LeftOutView {
  readonly #options: LeftOutViewOptions;
  #read: { readonly server: XdsServer; readonly result: Promise<Read>; until: number } | undefined;

  constructor(options: LeftOutViewOptions) {
    this.#options = options;
  }

  /** null: nothing is, or no server is in force. */
  async of({ servers }: XdsStatus, services: SharedMap<Service>): Promise<LeftOut | null> {
    const { linked, codec } = this.#options;
    const active = servers.find((one) => one.active);
    const server = this.#options.servers.find(({ name }) => name === active?.address);
    if (active === undefined || server === undefined || active.controlPlane === CONTROL)
      return null;
    const read = await this.#ask(server);
    const types = linked === 'on' ? [] : LINKED;
    const controlPlane = read.config?.controlPlane ?? active.controlPlane;
    if (isIstiod(controlPlane)) {
      const resources = leftOutOf(read.config?.objects ?? [], services, codec);
      return { controlPlane, types, reason: REASON, fix: FIX, resources, error: read.error };
    }
    if (linked !== 'auto') return null;
    const reason = 'it does not say that it is podwire control';
    const fix = 'ask for them: --xds-l7 on';
    return { controlPlane, types, reason, fix, resources: [], error: '' };
  }

  async #ask(server: XdsServer): Promise<Read> {
    const now = performance.now();
    const before = this.#read;
    if (before !== undefined && before.server === server && now < before.until) {
      return before.result;
    }
    const { config: last } = before?.server === server ? await before.result : NOTHING;
    const result = readIstioConfig(server, this.#options).then(
      (config): Read => ({ config, error: '' }),
      ({ message }: Error): Read => ({ config: last, error: message }),
    );
    const read = { server, result, until: now + (this.#options.keptMs ?? KEPT_MS) };
    this.#read = read;
    void result.then((one) => {
      if (one.error !== '') read.until = now + FAILURE_KEPT_MS;
    });
    return result;
  }
}
