/** The `:authority` of a CONNECT request, read strictly: address:port, [address]:port or host:port. */
import { HBONE_PORT } from '../model/gateway-address.ts';
import { type Ip, ipFamily, parseIp } from '../model/ip.ts';

export type Authority =
  | { readonly kind: 'address'; readonly address: Ip; readonly port: number }
  /** lower case, without a final dot */
  | { readonly kind: 'host'; readonly host: string; readonly port: number };

/** a host name of 253 characters, a colon and a port */
const MAX_LENGTH = 259;
const FORM = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z._-]{1,253})):([1-9][0-9]{0,4})$/;
const LABEL = /^[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?$/;
/** What a resolver might take for an address: the last label of a host name is never all digits or hexadecimal. */
const NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/** undefined: none of the three forms */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const match = FORM.exec(text);
  if (!match) return undefined;
  const [, bracketed, bare = '', digits = ''] = match;
  const port = Number(digits);
  if (port > 0xffff) return undefined;
  if (bracketed !== undefined) {
    const address = bracketed.includes(':') ? parseIp(bracketed) : undefined;
    return address && { kind: 'address', address, port };
  }
  const address = parseIp(bare);
  if (address) return { kind: 'address', address, port };
  const host = bare.toLowerCase().replace(/\.$/, '');
  const labels = host.split('.');
  if (!labels.every((label) => LABEL.test(label)) || NUMBER.test(labels.at(-1) ?? ''))
    return undefined;
  return { kind: 'host', host, port };
}

/**
 * Addresses that mean another machine, or none, to whoever reads them: loopback, link-local, unspecified, multicast, broadcast.
 * A tunnel never ends there.
 */
export function isNeverTunnelled(address: Ip): boolean {
  if (ipFamily(address) === 4)
    return /^(?:0|127|22[4-9]|23[0-9]|24[0-9]|25[0-5])\.|^169\.254\./.test(address);
  return (
    address === '::' || address === '::1' || /^(?:fe[89ab][0-9a-f]|ff[0-9a-f]{2}):/.test(address)
  );
}

/** The ports of the mesh itself: a connection that ends there would come back to an agent (ztunnel's "illegal ports"). */
export const MESH_PORTS: ReadonlySet<number> = new Set([15001, 15006, HBONE_PORT, 15080]);
