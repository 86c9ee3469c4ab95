/**
 * What consumers were told: for every identity the newest certificate, with what the whole node trusts and knows to be revoked.
 */
import type { ManagedIdentity } from './managed-identity.ts';
import type { RevocationList } from './revocation-list.ts';
import type { TlsCredentials } from '../model/tls-credentials.ts';
import { NO_ROOTS, trustDomainOf, type TrustedRoots, trustedRoots } from './trusted-roots.ts';
import { pemOf } from './workload-certificate.ts';

export type CredentialsListener = (spiffe: string, credentials: TlsCredentials | undefined) => void;

export class PublishedCredentials {
  readonly #listeners = new Set<CredentialsListener>();
  readonly #wall: () => number;
  /** by trust domain */
  #roots: ReadonlyMap<string, TrustedRoots> = new Map();
  #version = 0;
  revocations: RevocationList | undefined;

  constructor(wall: () => number) {
    this.#wall = wall;
  }

  onChange(listener: CredentialsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  rootsOf({ spiffe }: ManagedIdentity): TrustedRoots {
    return this.#roots.get(trustDomainOf(spiffe)) ?? NO_ROOTS;
  }

  /** New values where the certificate (`fresh` has a new one), the roots or the revocations are not what was told. */
  publish(identities: Iterable<ManagedIdentity>, fresh?: ManagedIdentity): void {
    const held = [...identities].filter((one) => one.certificate !== undefined && !one.ended);
    this.#roots = trustedRoots(
      held.map(({ certificate }) => certificate!),
      this.#wall(),
    );
    for (const identity of held) {
      const { credentials: old } = identity;
      const same =
        old !== undefined &&
        old.roots === this.rootsOf(identity).bundle &&
        old.crls === this.revocations?.pem;
      if (!same || identity === fresh) this.#tell(identity, this.#credentialsOf(identity));
    }
  }

  takeBack(identity: ManagedIdentity): void {
    if (identity.credentials !== undefined) this.#tell(identity, undefined);
  }

  #credentialsOf(identity: ManagedIdentity): TlsCredentials {
    const { chain, key } = identity.certificate!;
    const crls = this.revocations?.pem;
    return {
      spiffe: identity.spiffe,
      certificateChain: chain.map(pemOf).join(''),
      privateKey: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
      roots: this.rootsOf(identity).bundle,
      ...(crls !== undefined && { crls }),
      version: ++this.#version,
    };
  }

  #tell(identity: ManagedIdentity, credentials: TlsCredentials | undefined): void {
    identity.credentials = credentials;
    for (const listener of this.#listeners) listener(identity.spiffe, credentials);
  }
}
