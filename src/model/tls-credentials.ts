/**
 * What a TLS end of the mesh proves itself with and trusts: a value, replaced whole by a newer one.  It holds a private key:
 * it goes to the data plane and nowhere else.
 */
export interface TlsCredentials {
  readonly spiffe: string;
  /** PEM, leaf first, without roots */
  readonly certificateChain: string;
  /** PEM, PKCS #8 */
  readonly privateKey: string;
  /** PEM of every root to trust */
  readonly roots: string;
  /** PEM; absent: nothing is known to be revoked */
  readonly crls?: string;
  /** of two for one identity the higher one is newer; of this process only */
  readonly version: number;
}
