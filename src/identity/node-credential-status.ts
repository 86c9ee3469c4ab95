/**
 * A machine's membership as status and metrics show it: plain JSON.
 */
export interface NodeCredentialStatus {
  /** the name it joined under, "" before that */
  readonly name: string;
  /** of the certificate, ISO 8601, "" without one */
  readonly expires: string;
  /** when the next one is asked for, "" without one */
  readonly renews: string;
  readonly renewals: number;
  /** why there is no certificate, or no newer one, and what helps; "" */
  readonly error: string;
}
