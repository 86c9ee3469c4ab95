/**
 * Where workload certificates come from: a CA over the network, one in this process, or SPIRE's agent.
 */
import type { KeyObject } from 'node:crypto';

/** As it came: nothing of it has been checked. */
export interface IssuedCertificate {
  readonly key: KeyObject;
  /** PEM: leaf, intermediates; an element may hold several */
  readonly chain: readonly string[];
  /** PEM, one or several */
  readonly roots: string;
}

export interface CertificateSource {
  /** for the operator: "CA istiod.istio-system.svc:15012" */
  readonly name: string;
  /**
   * Certificates are made before they are needed; false: at the first use, because making one costs a moment and the memory
   * of what makes it.
   */
  readonly prefetch: boolean;
  /** It renews in its own time and says so by `onChange`; false: it is asked at half of a certificate's life. */
  readonly renews: boolean;
  /** Throws CertificateRefusedError when the source said no, or Error. May ignore `signal`: then the answer is. */
  issue(spiffe: string, signal: AbortSignal): Promise<IssuedCertificate>;
  /** Nobody needs it any more. */
  release(spiffe: string): void;
  /** `listener`: there is a newer certificate, or other roots; without an identity, for all of them. Called once. */
  onChange(listener: (spiffe?: string) => void): void;
  close(): Promise<void>;
}
