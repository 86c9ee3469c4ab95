/**
 * Small things that all of Envoy's messages share: times, shares, addresses, header edits.
 */
import { parsePrefix, type Prefix } from '../../model/ip.ts';
import type { HeaderEdit, HeaderEdits, Millionths } from '../../model/matcher.ts';
import type {
  WireCidrRange,
  WireCidrRangeInput,
  WireConfigSourceInput,
  WireDataSource,
  WireDuration,
  WireDurationInput,
  WireFractionalPercent,
  WireFractionalPercentInput,
  WireHeaderValueOption,
  WireHeaderValueOptionInput,
} from '../codec-envoy.ts';
import type { Reading } from './reading.ts';

const MS_PER_S = 1000;
const NS_PER_MS = 1e6;
export const ALL_MILLIONTHS: Millionths = 1e6;
const MILLIONTHS_PER_PERCENT = 1e4;

/** Resources named in another come over the stream that brought it. */
export const FROM_ADS: WireConfigSourceInput = Object.freeze({
  ads: {},
  resource_api_version: 'V3',
});

export function durationToWire(ms: number | undefined): WireDurationInput | null {
  if (ms === undefined) return null;
  const seconds = Math.trunc(ms / MS_PER_S);
  return { seconds, nanos: Math.round((ms - seconds * MS_PER_S) * NS_PER_MS) };
}

export function durationFromWire(duration: WireDuration | null): number | undefined {
  if (duration === null) return undefined;
  return Number(duration.seconds) * MS_PER_S + duration.nanos / NS_PER_MS;
}

/** A wrapper message such as google.protobuf.UInt32Value; null: absent */
export function wrap<T>(value: T | undefined): { value: T } | null {
  return value === undefined ? null : { value };
}

export function fractionToWire(fraction: Millionths): WireFractionalPercentInput {
  return { numerator: fraction, denominator: 'MILLION' };
}

/** An unknown denominator counts as none of the requests. */
export function fractionFromWire(wire: WireFractionalPercent | null): Millionths {
  const parts = { HUNDRED: 1e4, TEN_THOUSAND: 100, MILLION: 1 }[wire?.denominator ?? 'HUNDRED'];
  return Math.min((wire?.numerator ?? 0) * (parts ?? 0), ALL_MILLIONTHS);
}

export function percentToWire(share: Millionths): { value: number } {
  return { value: share / MILLIONTHS_PER_PERCENT };
}

export function percentFromWire(percent: { readonly value: number }): Millionths {
  const share = Math.round(percent.value * MILLIONTHS_PER_PERCENT);
  return Math.min(Math.max(share, 0) || 0, ALL_MILLIONTHS);
}

export function cidrToWire(prefix: Prefix): WireCidrRangeInput {
  return { address_prefix: prefix.address, prefix_len: { value: prefix.length } };
}

/** An absent length is 0, as Envoy has it: every address. */
export function cidrFromWire(wire: WireCidrRange, path: string, { error }: Reading): Prefix[] {
  const text = `${wire.address_prefix}/${wire.prefix_len?.value ?? 0}`;
  // It ignores the host bits, as Envoy does.
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return [prefix];
  error(path, `"${text}" is no block of addresses`);
  return [];
}

/** undefined: a file or an environment variable, which belong to another machine; also nothing at all */
export function dataFromWire(source: WireDataSource | null): Buffer | undefined {
  if (source?.inline_bytes !== undefined) return Buffer.from(source.inline_bytes);
  if (source?.inline_string !== undefined) return Buffer.from(source.inline_string);
  return undefined;
}

const APPEND_ACTIONS = {
  append: 'APPEND_IF_EXISTS_OR_ADD',
  'append-if-absent': 'ADD_IF_ABSENT',
  set: 'OVERWRITE_IF_EXISTS_OR_ADD',
  'set-if-present': 'OVERWRITE_IF_EXISTS',
} as const;

export function editsToWire({ edits }: HeaderEdits): WireHeaderValueOptionInput[] {
  return edits.map(({ name, value, action }) => ({
    header: { key: name, value },
    append_action: APPEND_ACTIONS[action],
  }));
}

export function editsFromWire(
  options: readonly WireHeaderValueOption[],
  remove: readonly string[],
  path: string,
  { error }: Reading,
): HeaderEdits {
  const edits = options.flatMap((option, index): HeaderEdit[] => {
    const at = `${path}[${index}]`;
    const found = Object.entries(APPEND_ACTIONS).find(([, wire]) => wire === option.append_action);
    if (found === undefined || !option.header?.key) {
      error(at, 'is no change of a header that is known');
      return [];
    }
    const { key, value, raw_value } = option.header;
    const action = option.append?.value === false ? 'set' : (found[0] as HeaderEdit['action']);
    return [
      { name: key, value: raw_value.length > 0 ? raw_value.toString('utf8') : value, action },
    ];
  });
  return { edits, remove };
}
