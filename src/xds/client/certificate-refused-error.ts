/**
 * The caller may not have that certificate: asking again is of no use, unless with another credential.
 */
export class CertificateRefusedError extends Error {
  override readonly name = 'CertificateRefusedError';
}
