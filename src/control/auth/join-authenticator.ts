/**
 * Callers with a join token: they may ask for a certificate of the token's node, and for nothing else.
 */
import { DEFAULT_AGENT, type ServiceAccountName } from './access-rules.ts';
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
  type Credentials,
} from './caller.ts';
import type { JoinRegistry } from './join-registry.ts';

export interface NodeAuthenticatorOptions {
  readonly registry: JoinRegistry;
  readonly trustDomain: string;
  /** the account that nodes outside Kubernetes act as */
  readonly agent?: ServiceAccountName;
}

export class JoinTokenAuthenticator implements Authenticator {
  readonly #options: NodeAuthenticatorOptions;

  constructor(options: NodeAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate({ token }: Credentials): Promise<Caller> {
    const { registry, trustDomain, agent = DEFAULT_AGENT } = this.#options;
    if (token === undefined) throw new AuthenticationError('no join token');
    const { id, name } = await registry.verify(token);
    return {
      identity: { trustDomain, ...agent },
      pod: undefined,
      node: name,
      joinToken: id,
      credential: 'join-token',
    };
  }
}
