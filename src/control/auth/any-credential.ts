/**
 * One authenticator of several: the kind of credential decides which.
 *
 * A token decides before a certificate: it was sent on purpose, while a client may have presented its certificate merely
 * because the server asked.  There is no falling through: a credential that is refused is refused.
 */
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
  type Credentials,
} from './caller.ts';
import { looksLikeJoinToken } from '../../model/join-token-text.ts';

export interface AnyCredentialOptions {
  /** absent: tokens of this kind are refused */
  readonly kubernetes?: Authenticator;
  readonly joinToken?: Authenticator;
  readonly certificate?: Authenticator;
}

export class AnyCredential implements Authenticator {
  readonly #options: AnyCredentialOptions;

  constructor(options: AnyCredentialOptions) {
    this.#options = options;
  }

  async authenticate(credentials: Credentials): Promise<Caller> {
    const authenticator = this.#authenticatorOf(credentials);
    if (!authenticator) throw new AuthenticationError('no credential that is accepted here');
    return authenticator.authenticate(credentials);
  }

  #authenticatorOf({ token, certificate }: Credentials): Authenticator | undefined {
    const { kubernetes, joinToken, certificate: byCertificate } = this.#options;
    if (token !== undefined) return looksLikeJoinToken(token) ? joinToken : kubernetes;
    return certificate === undefined ? undefined : byCertificate;
  }
}
