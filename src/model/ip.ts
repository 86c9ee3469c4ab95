/**
 * IP addresses and prefixes.
 *
 * An Ip is the canonical text of one address (RFC 5952; IPv4-mapped IPv6 becomes IPv4), so that equality is string
 * equality and an address can be a map key everywhere.  The kernel's form is 16 bytes with IPv4 mapped.
 */
declare const ipBrand: unique symbol;
export type Ip = string & { readonly [ipBrand]: true };

export interface Prefix {
  /** host bits are zero */
  readonly address: Ip;
  /** bits of the address's own family: 0-32 or 0-128 */
  readonly length: number;
}

const MAPPED_PREFIX_BYTES = 12;
/** No leading zeros: some readers take them for octal. */
const IPV4 = /^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(?!$)|$)){4}$/;

/** The canonical form, or undefined when the text is no address (zone ids are refused: they mean nothing to peers). */
export function parseIp(text: string): Ip | undefined {
  if (IPV4.test(text)) return text as Ip;
  const bytes = readIpv6(text);
  return bytes === undefined ? undefined : ipFromBytes(bytes);
}

export function ipFamily(ip: Ip): 4 | 6 {
  return ip.includes(':') ? 6 : 4;
}

/** 16 bytes in network order, IPv4 as ::ffff:a.b.c.d */
export function ipBytes(ip: Ip): Uint8Array {
  if (ipFamily(ip) === 6) return readIpv6(ip)!;
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  bytes.set(readIpv4(ip), MAPPED_PREFIX_BYTES);
  return bytes;
}

/** 4 or 16 bytes: the form of the xDS messages */
export function ipWireBytes(ip: Ip): Uint8Array {
  return ipFamily(ip) === 6 ? readIpv6(ip)! : readIpv4(ip);
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

function readIpv4(text: string): Uint8Array {
  return Uint8Array.from(text.split('.'), Number);
}

/** RFC 4291 2.2, all three forms; undefined when it is none. */
function readIpv6(text: string): Uint8Array | undefined {
  const parts = text.split('::');
  if (parts.length > 2) return undefined;
  const compressed = parts.length === 2;
  const left = readGroups(parts[0] ?? '', !compressed);
  const right = compressed ? readGroups(parts[1] ?? '', true) : [];
  if (left === undefined || right === undefined) return undefined;
  const length = left.length + right.length;
  if (compressed ? length > 14 : length !== 16) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(left, 0);
  bytes.set(right, 16 - right.length);
  return bytes;
}

/** Bytes of groups between colons; the last one may be a dotted IPv4 address when it ends the text. */
function readGroups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [index, group] of groups.entries()) {
    if (endsAddress && index === groups.length - 1 && IPV4.test(group)) {
      bytes.push(...readIpv4(group));
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return undefined;
    }
  }
  return bytes;
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
