/**
 * What signs leaves, and what their holders must trust: of the CA's own root, or of files the operator gave.
 */
import { X509Certificate } from 'node:crypto';
import type { SigningKey } from './certificate.ts';

export interface Signer extends SigningKey {
  /** ms since 1970: of the certificate and all that are above it */
  readonly validFrom: number;
  readonly validUntil: number;
  /** PEM, nearest to the leaf first, without the roots; the signer's own when it is no root */
  readonly intermediates: readonly string[];
  /** PEM of each root to trust */
  readonly roots: readonly string[];
  /** PEM of every certificate whose leaves control itself still accepts */
  readonly issuers: readonly string[];
}

/** When all of these certificates (PEM) are valid. */
export function validityOf(
  certificates: readonly string[],
): Pick<Signer, 'validFrom' | 'validUntil'> {
  const parsed = certificates.map((pem) => new X509Certificate(pem));
  return {
    validFrom: Math.max(...parsed.map(({ validFrom }) => Date.parse(validFrom))),
    validUntil: Math.min(...parsed.map(({ validTo }) => Date.parse(validTo))),
  };
}

export interface SignerSource {
  /** Throws SignerUnavailableError. */
  current(): Signer;
  /** Calls back after each change of what `current` gives; returns how to stop. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Nothing can be signed for now; the message is for the operator. */
export class SignerUnavailableError extends Error {
  override readonly name = 'SignerUnavailableError';
}

export class SignerListeners {
  readonly #listeners = new Set<() => void>();

  add(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  call(): void {
    for (const listener of this.#listeners) listener();
  }
}
