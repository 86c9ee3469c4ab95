/**
 * A push, resource by resource: what can be applied, and what is refused with its reasons.  One bad resource never takes
 * the others with it, and nothing is ever taken in part.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Codec } from '../codec.ts';
import type { MeshResources, ResourceKey, ResourceType } from '../resource-types.ts';
import type { Push, PushedResource } from './push.ts';

export interface AcceptedResource {
  readonly name: string;
  readonly version: string;
  /** other names the server knows it by */
  readonly aliases: readonly string[];
  readonly value: MeshResources[ResourceKey];
}

export interface Accepted {
  readonly upserts: readonly AcceptedResource[];
  readonly removals: readonly string[];
  /** name → "field.path: reason" each */
  readonly refused: ReadonlyMap<string, readonly string[]>;
  /** some of what was refused could not be named: it stands under its place, "resources[3]" */
  readonly nameless: boolean;
}

export interface DecodeOptions {
  readonly codec: Codec;
  readonly type: ResourceType;
  /** names that were asked for which a resource may come under besides its own (on-demand "network/ip") */
  readonly askedFor: ReadonlySet<string>;
}

/** Decoded in one go; after as many other work gets its turn (some 10 ms of decoding). */
const SLICE = 500;
/** A NACK is read by people; istiod logs it whole. */
const MAX_REFUSAL_CHARS = 4096;

export async function decodePush(push: Push, options: DecodeOptions): Promise<Accepted> {
  const upserts = new Map<string, AcceptedResource>();
  const refused = new Map<string, readonly string[]>();
  const twice = new Set<string>();
  const seen = new Set<string>();
  for (const [index, resource] of push.resources.entries()) {
    if (index % SLICE === SLICE - 1) await nextTurn();
    const decoded = decodeOne(resource, index, push, options);
    if (seen.has(decoded.name)) twice.add(decoded.name);
    seen.add(decoded.name);
    if ('value' in decoded) upserts.set(decoded.name, decoded);
    else refused.set(decoded.name, decoded.errors);
  }
  for (const name of push.removed) if (seen.has(name)) twice.add(name);
  for (const name of twice) {
    // which of them is meant cannot be known
    upserts.delete(name);
    refused.set(name, ['name: comes more than once in one response']);
  }
  const removals = [...new Set(push.removed)].filter((name) => name !== '' && !twice.has(name));
  const nameless = push.resources.some(
    ({ name }, index) => name === '' && refused.has(`resources[${index}]`),
  );
  return { upserts: [...upserts.values()], removals, refused, nameless };
}

/** "name: field.path: reason; …" for a NACK; undefined when nothing was refused. */
export function refusalOf({ refused }: Pick<Accepted, 'refused'>): string | undefined {
  if (refused.size === 0) return undefined;
  let text = '';
  let left = refused.size;
  for (const [name, reasons] of refused) {
    const next = `${text === '' ? '' : '; '}${name}: ${reasons.join(', ')}`;
    if (text.length + next.length > MAX_REFUSAL_CHARS) break;
    text += next;
    left--;
  }
  if (left === refused.size) return `${left} resources were refused`;
  return left === 0 ? text : `${text}; and ${left} more`;
}

function decodeOne(
  resource: PushedResource,
  index: number,
  push: Push,
  { codec, type, askedFor }: DecodeOptions,
): AcceptedResource | { readonly name: string; readonly errors: readonly string[] } {
  const { name, aliases, version, bytes, typeUrl } = resource;
  const label = name === '' ? `resources[${index}]` : name;
  if (bytes === undefined) return { name: label, errors: ['resource: is missing'] };
  if (typeUrl !== push.typeUrl) {
    return { name: label, errors: [`resource.type_url: is '${typeUrl}' in a response of another`] };
  }
  const decoded = type.decode(codec, bytes);
  if (!decoded.ok) return { name: label, errors: decoded.errors };
  const { value } = decoded;
  const own = type.nameOf(value);
  if (name === '' || name === own) return { name: own, aliases, version, value };
  if (askedFor.has(name)) return { name: own, aliases: [...aliases, name], version, value };
  return { name: label, errors: [`name: the resource itself says '${own}'`] };
}
