/**
 * IP addresses and prefixes.
 *
 * An Ip is the canonical text of one address (RFC 5952; IPv4-mapped IPv6 becomes IPv4), so that equality is string
 * equality and an address can be a map key everywhere.  The kernel's form is 16 bytes with IPv4 mapped.
 */
import { isIPv4, isIPv6 } from 'node:net';

declare const ipBrand: unique symbol;
export type Ip = string & { readonly [ipBrand]: true };

export interface Prefix {
  /** host bits are zero */
  readonly address: Ip;
  /** bits of the address's own family: 0-32 or 0-128 */
  readonly length: number;
}

const MAPPED_PREFIX_BYTES = 12;

/** The canonical form, or undefined when the text is no address (zone ids are refused: they mean nothing to peers). */
export function parseIp(text: string): Ip | undefined {
  if (isIPv4(text)) return text as Ip;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return ipFromBytes(parseIpv6(text));
}

export function ipFamily(ip: Ip): 4 | 6 {
  return ip.includes(':') ? 6 : 4;
}

/** 16 bytes in network order, IPv4 as ::ffff:a.b.c.d */
export function ipBytes(ip: Ip): Uint8Array {
  if (ipFamily(ip) === 6) return parseIpv6(ip);
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes.set(parseIpv4(ip), MAPPED_PREFIX_BYTES);
  return bytes;
}

/** 4 or 16 bytes: the form of the xDS messages */
export function ipWireBytes(ip: Ip): Uint8Array {
  return ipFamily(ip) === 6 ? parseIpv6(ip) : parseIpv4(ip);
}

/** From 4 bytes, or 16 (mapped IPv4 becomes IPv4); undefined for any other length. */
export function ipFromBytes(bytes: Uint8Array): Ip | undefined {
  if (bytes.length === 4) return bytes.join('.') as Ip;
  if (bytes.length !== 16) return undefined;
  if (isMapped(bytes)) return bytes.subarray(MAPPED_PREFIX_BYTES).join('.') as Ip;
  return formatIpv6(bytes) as Ip;
}

/** "10.0.0.0/8", "fd00::/8", or a lone address; host bits are cleared. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const max = ipFamily(address) === 4 ? 32 : 128;
  if (slash < 0) return { address, length: max };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8
  const mapped = max === 32 && text.slice(0, slash).includes(':');
  const length = mapped ? Number(digits) - 96 : Number(digits);
  if (length < 0) return undefined;
  return makePrefix(address, length);
}

export function makePrefix(address: Ip, length: number): Prefix | undefined {
  const bytes = ipWireBytes(address);
  if (!Number.isInteger(length) || length < 0 || length > bytes.length * 8) return undefined;
  for (let i = 0; i < bytes.length; i++) {
    const keep = Math.min(8, Math.max(0, length - i * 8));
    bytes[i] = bytes[i]! & (0xff << (8 - keep));
  }
  const masked = ipFromBytes(bytes);
  return masked === undefined ? undefined : { address: masked, length };
}

/** Bits in the kernel's 128-bit space. */
export function mappedLength(prefix: Prefix): number {
  return ipFamily(prefix.address) === 4 ? 96 + prefix.length : prefix.length;
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

/** True when every address of `inner` is in `outer`; the families never mix, so ::/0 holds no IPv4 address. */
export function prefixContains(outer: Prefix, inner: Prefix): boolean {
  if (ipFamily(outer.address) !== ipFamily(inner.address) || outer.length > inner.length) {
    return false;
  }
  const a = ipWireBytes(outer.address);
  const b = ipWireBytes(inner.address);
  const whole = outer.length >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = outer.length & 7;
  return rest === 0 || (a[whole]! ^ b[whole]!) >> (8 - rest) === 0;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function parseIpv4(text: string): Uint8Array {
  return Uint8Array.from(text.split('.'), Number);
}

function parseIpv6(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::');
  const left = groups(head);
  bytes.set(left, 0);
  if (tail !== undefined) {
    const right = groups(tail);
    bytes.set(right, 16 - right.length);
  }
  return bytes;
}

function groups(text: string): Uint8Array {
  if (text === '') return new Uint8Array(0);
  const bytes: number[] = [];
  for (const group of text.split(':')) {
    if (group.includes('.')) {
      bytes.push(...parseIpv4(group));
    } else {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return Uint8Array.from(bytes);
}

function formatIpv6(bytes: Uint8Array): string {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((bytes[i]! << 8) | bytes[i + 1]!);
  const [start, length] = longestZeroRun(words);
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function longestZeroRun(words: readonly number[]): [number, number] {
  let best: [number, number] = [0, 0];
  for (let i = 0; i < words.length;) {
    let end = i;
    while (end < words.length && words[end] === 0) end++;
    if (end - i > best[1]) best = [i, end - i];
    i = end + 1;
  }
  return best;
}
