/**
 * The two variants of ADS, for the server: requests into one shape, plans into bytes.
 */
import { createHash } from 'node:crypto';
import type { DeltaRequest, SotwRequest } from '../codec.ts';
import { deltaResponse, sotwBytes, sotwResponse } from './frames.ts';
import type { Plan } from './plan.ts';

export interface DiscoveryRequest {
  readonly typeUrl: string;
  readonly nonce: string;
  /** of a NACK */
  readonly refusal: { readonly code: number; readonly message: string } | undefined;
  /** what the client calls itself; proves nothing */
  readonly nodeId: string | undefined;
  readonly change:
    | {
        readonly kind: 'delta';
        readonly subscribe: readonly string[];
        readonly unsubscribe: readonly string[];
        readonly known: readonly (readonly [string, string])[];
      }
    | { readonly kind: 'whole'; readonly names: readonly string[]; readonly version: string };
}

export interface Variant {
  readonly name: 'delta' | 'sotw';
  read(message: unknown): DiscoveryRequest;
  /** The version of a response, and its bytes; `change` counts the changes of the mesh. */
  write(
    plan: Plan,
    typeUrl: string,
    nonce: string,
    change: number,
  ): { version: string; bytes: Buffer };
}

export const DELTA: Variant = {
  name: 'delta',
  read(message) {
    const request = message as DeltaRequest;
    return {
      typeUrl: request.type_url,
      nonce: request.response_nonce,
      refusal: refusalOf(request.error_detail),
      nodeId: request.node?.id,
      change: {
        kind: 'delta',
        subscribe: request.resource_names_subscribe,
        unsubscribe: request.resource_names_unsubscribe,
        known: Object.entries(request.initial_resource_versions ?? {}),
      },
    };
  },
  write({ frames, removals, strays }, typeUrl, nonce, change) {
    const version = String(change);
    const removed = [...removals.map(({ name }) => name), ...strays];
    const resources = frames.map(({ delta }) => delta);
    return { version, bytes: deltaResponse({ version, typeUrl, nonce }, resources, removed) };
  },
};

export const STATE_OF_THE_WORLD: Variant = {
  name: 'sotw',
  read(message) {
    const request = message as SotwRequest;
    return {
      typeUrl: request.type_url,
      nonce: request.response_nonce,
      refusal: refusalOf(request.error_detail),
      nodeId: request.node?.id,
      change: { kind: 'whole', names: request.resource_names, version: request.version_info },
    };
  },
  write(plan, typeUrl, nonce) {
    const version = versionOf(plan);
    const resources = plan.frames.map(sotwBytes);
    return { version, bytes: sotwResponse({ version, typeUrl, nonce }, resources) };
  },
};

/** Of all there is: the same in every replica, so that who comes back with it need not be sent the same again. */
export function versionOf({ upserts, kept, frames }: Plan): string {
  const said = [...upserts, ...kept];
  const parts = said.map(({ name }, index) => `${name}\0${frames[index]!.version}\n`).sort();
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('base64url').slice(0, 16);
}

function refusalOf(
  detail: { readonly code: number; readonly message: string } | null | undefined,
): DiscoveryRequest['refusal'] {
  return detail ? { code: detail.code, message: detail.message } : undefined;
}
