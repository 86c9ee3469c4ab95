/**
 * Certificates that are not to be believed any more: plain data, for the data plane too.
 *
 * What no list speaks of is not revoked, and a list past its date still counts, both as in ztunnel: a file that nobody renews must
 * not take the mesh down.
 */
export interface RevocationList {
  /** PEM of all lists */
  readonly pem: string;
  /** serial numbers (lower-case hex, no leading zeros) by hash of the issuer, see issuer-hash.ts */
  readonly serials: ReadonlyMap<string, ReadonlySet<string>>;
}

/** `serial`: hex in any case. */
export function isRevoked(
  list: RevocationList | undefined,
  serial: string,
  issuerHash: string,
): boolean {
  const serials = list?.serials.get(issuerHash);
  return serials?.has(serial.toLowerCase().replace(/^0+(?=.)/, '')) ?? false;
}
