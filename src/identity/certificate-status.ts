/**
 * The node's certificates as status, metrics and `podwire certificates` show them: plain JSON, without keys.
 */

/**
 * idle: nobody has used it yet; requested: the first one is on its way; valid; expired: there was one, and no newer one could be had;
 * failed: there never was one.
 */
export type CertificateState = 'idle' | 'requested' | 'valid' | 'expired' | 'failed';

export interface CertificateStatus {
  /** SPIFFE id */
  readonly identity: string;
  readonly state: CertificateState;
  /** lower-case hex, "" without one */
  readonly serial: string;
  /** ISO 8601, "" without one */
  readonly notBefore: string;
  readonly notAfter: string;
  /** when the next one is asked for; "" without one, or when the source decides */
  readonly renews: string;
  /** SHA-256 of each root its holder trusts, lower-case hex */
  readonly roots: readonly string[];
  /** why there is none, or no newer one; "" */
  readonly error: string;
  /** attempts that failed since the last success */
  readonly failures: number;
}

/** PEM, leaf first. */
export interface HeldChain {
  readonly identity: string;
  readonly state: CertificateState;
  readonly error: string;
  readonly chain: readonly string[];
  readonly roots: readonly string[];
}

export type FailureReason = 'refused' | 'invalid' | 'unavailable';

export interface CertificateNumbers {
  readonly issued: number;
  readonly failed: Readonly<Record<FailureReason, number>>;
  readonly inFlight: number;
  readonly queued: number;
}
