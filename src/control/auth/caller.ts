/**
 * Who calls control: what a credential proves, and nothing that the caller only says of itself.
 */
import type { Identity } from '../../model/identity.ts';

export interface Caller {
  readonly identity: Identity;
  /** the pod the credential is bound to; undefined for callers that are no pod */
  readonly pod:
    { readonly namespace: string; readonly name: string; readonly uid: string } | undefined;
  /** the node the pod runs on as the API server says, or the name a join token was made for; undefined: not proven */
  readonly node: string | undefined;
  /** id of the cluster whose API server vouches for pod and node; absent: control's own */
  readonly cluster?: string;
  /** id of the token, for callers with a join token and only for these */
  readonly joinToken?: string;
  readonly credential: 'kubernetes-token' | 'join-token' | 'certificate' | 'in-process';
}

export interface Credentials {
  /** of the header `authorization: Bearer …` */
  readonly token: string | undefined;
  /** DER of the verified client certificate */
  readonly certificate: Uint8Array | undefined;
}

/** The reason is for the server's log and metrics; the caller is told no more than UNAUTHENTICATED. */
export class AuthenticationError extends Error {
  override readonly name: string = 'AuthenticationError';
}

/** It was a credential, and its time is over. */
export class CredentialExpiredError extends AuthenticationError {
  override readonly name = 'CredentialExpiredError';
}

/** Whoever knows could not be asked: refused for now, which says nothing of the credential. */
export class CredentialUncheckedError extends AuthenticationError {
  override readonly name = 'CredentialUncheckedError';
}

export interface Authenticator {
  /** Throws AuthenticationError. */
  authenticate(credentials: Credentials): Promise<Caller>;
}
