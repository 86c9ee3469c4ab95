/**
 * Addresses as the kernel's maps hold them: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, prefixes counted in the
 * 128-bit space.  The text forms are the model's (src/model/ip.ts); what is added here is that a bad text is an error
 * with its reason, for callers that have no list of findings to put it in.
 */
import { isIPv4 } from 'node:net';
import { PodwireError } from '../../errors.ts';
import { ipBytes, ipFromBytes, mappedLength, parseIp, parsePrefix } from '../../model/ip.ts';

export const ADDR_BYTES = 16;

export interface Cidr {
  /** host bits are zero */
  readonly addr: Uint8Array;
  /** 0-128: an IPv4 prefix has 96 more than its text says */
  readonly bits: number;
}

/** "None" in every struct that has an optional address.  Typed arrays cannot be frozen: only ever read it. */
export const ZERO_ADDR: Uint8Array = new Uint8Array(ADDR_BYTES);

export function isZeroAddr(addr: Uint8Array): boolean {
  return addr.every((byte) => byte === 0);
}

/** '10.0.0.1', 'fd00::1', '::ffff:10.0.0.1' */
export function addrFromText(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip !== undefined) return ipBytes(ip);
  if (text.includes('/')) throw bad(text, 'a prefix stands where one address is expected');
  if (text.includes('%')) throw bad(text, 'zone ids mean nothing beyond their own host');
  throw bad(text, 'expected an IPv4 or IPv6 address such as 10.0.0.1 or fd00::1');
}

/** Mapped addresses print as IPv4, the others by RFC 5952. */
export function addrToText(addr: Uint8Array): string {
  const ip = addr.length === ADDR_BYTES ? ipFromBytes(addr) : undefined;
  if (ip === undefined) {
    throw new PodwireError('ERR_INTERNAL', `an address has ${addr.length} bytes instead of 16`);
  }
  return ip;
}

export function isMapped(addr: Uint8Array): boolean {
  if (addr.length !== ADDR_BYTES || addr[10] !== 0xff || addr[11] !== 0xff) return false;
  for (let i = 0; i < 10; i++) if (addr[i] !== 0) return false;
  return true;
}

/** '10.0.0.0/8', 'fd00::/8', or a lone address; host bits are cleared. */
export function cidrFromText(text: string): Cidr {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return { addr: ipBytes(prefix.address), bits: mappedLength(prefix) };
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  addrFromText(address);
  throw bad(text, `the prefix length after / has to be a number from ${lengths(address)}`);
}

function lengths(address: string): string {
  if (isIPv4(address)) return '0 to 32';
  return isMapped(addrFromText(address)) ? '96 to 128' : '0 to 128';
}

function bad(text: string, reason: string): PodwireError {
  return new PodwireError('ERR_BAD_OPTION', `'${text}': ${reason}`);
}
