/**
 * Callers with the certificate of a node that joined.
 *
 * TLS has checked it when the connection was made; it is checked again here at each call, because connections outlive
 * certificates, and because TLS would also take a workload's certificate, which opens nothing at control.
 */
import { X509Certificate } from 'node:crypto';
import { formatNodeIdentity } from '../../model/node-identity.ts';
import { DEFAULT_AGENT } from './access-rules.ts';
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
  type Credentials,
} from './caller.ts';
import type { NodeAuthenticatorOptions } from './join-authenticator.ts';

export interface CertificateAuthenticatorOptions extends NodeAuthenticatorOptions {
  /** PEM of the certificates that may have signed it */
  readonly issuers: () => readonly string[];
  readonly now?: () => number;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export class CertificateAuthenticator implements Authenticator {
  readonly #options: CertificateAuthenticatorOptions;

  constructor(options: CertificateAuthenticatorOptions) {
    this.#options = options;
  }

  async authenticate({ certificate: der }: Credentials): Promise<Caller> {
    const { registry, trustDomain, agent = DEFAULT_AGENT } = this.#options;
    if (der === undefined) throw new AuthenticationError('no certificate');
    const certificate = this.#verified(der);
    const name = nodeOf(certificate, trustDomain);
    const node = await registry.node(name);
    // The subject is ours: of a request's subject nothing is ever used.
    const subject = certificate.toLegacyObject().subject as unknown as { OU?: unknown };
    if (!node || subject.OU !== node.enrolment) {
      throw new AuthenticationError(`node ${name} was revoked, or has joined anew`);
    }
    return {
      identity: { trustDomain, ...agent },
      pod: undefined,
      node: name,
      credential: 'certificate',
    };
  }

  #verified(der: Uint8Array): X509Certificate {
    const { issuers, now = Date.now } = this.#options;
    const certificate = parse(der);
    const at = now();
    if (at < Date.parse(certificate.validFrom) || at >= Date.parse(certificate.validTo)) {
      throw new AuthenticationError(`the certificate ended ${certificate.validTo}`);
    }
    if (certificate.ca || !certificate.keyUsage?.includes(CLIENT_AUTH)) {
      throw new AuthenticationError('the certificate is not one of a client');
    }
    const signed = issuers().some((pem) => {
      const issuer = new X509Certificate(pem);
      return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
    });
    if (!signed) throw new AuthenticationError('the certificate is not ours');
    return certificate;
  }
}

function parse(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw new AuthenticationError('the certificate cannot be read', { cause });
  }
}

/** Exactly one name; one with a comma, which could be two, is no node's and is quoted by Node.js besides. */
function nodeOf({ subjectAltName = '' }: X509Certificate, trustDomain: string): string {
  const prefix = `URI:${formatNodeIdentity(trustDomain, '')}`;
  if (!subjectAltName.startsWith(prefix) || /[\s,"]/.test(subjectAltName)) {
    throw new AuthenticationError(`the certificate is of no node but of ${subjectAltName}`);
  }
  return subjectAltName.slice(prefix.length);
}
