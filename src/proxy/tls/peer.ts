/** From a finished handshake to a proven peer, or to the reason why not. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseSpiffe } from '../../model/identity.ts';
import { TlsError, type TlsPeer, type TlsRefusal } from '../transport.ts';
import { ALPN } from './context.ts';
import { type CertificateNames, certificateNames, sha256 } from './certificate.ts';
import type { RevocationLists } from './revocation.ts';

/** The peer of a handshake that OpenSSL is content with. @throws TlsError */
export function peerOf(socket: TLSSocket, revocation: RevocationLists | undefined): TlsPeer {
  if (socket.alpnProtocol !== ALPN) throw new TlsError('no-alpn');
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw new TlsError('no-certificate');
  /* An authority's certificate speaks for others, never for a workload. */
  if (certificate.ca) throw new TlsError('untrusted', 'an authority');
  const names = namesOf(certificate);
  if (revocation) assertNotRevoked(certificate, revocation);
  const [spiffe] = names.spiffeIds;
  if (spiffe === undefined) throw new TlsError('no-spiffe-id');
  return {
    spiffe,
    spiffeIds: names.spiffeIds,
    serial: names.serial,
    issuerHash: sha256(names.issuer),
    notAfter: Date.parse(certificate.validTo),
  };
}

function namesOf(certificate: X509Certificate): CertificateNames {
  try {
    return certificateNames(certificate);
  } catch (error) {
    throw new TlsError('untrusted', String(error));
  }
}

function assertNotRevoked(leaf: X509Certificate, revocation: RevocationLists): void {
  const chain: X509Certificate[] = [];
  for (
    let next: X509Certificate | undefined = leaf;
    next && !chain.some(({ raw }) => next?.raw.equals(raw));
    next = next.issuerCertificate
  )
    chain.push(next);
  for (const certificate of chain) {
    if (revocation.names(namesOf(certificate), chain)) throw new TlsError('revoked');
  }
}

export function assertTrustDomain(peer: TlsPeer, trustDomains: readonly string[]): void {
  const trustDomain = parseSpiffe(peer.spiffe)?.trustDomain ?? '';
  if (!trustDomains.includes(trustDomain)) throw new TlsError('wrong-trust-domain', peer.spiffe);
}

export function assertAccepted(peer: TlsPeer, acceptedIds: readonly string[]): void {
  if (!peer.spiffeIds.some((id) => acceptedIds.includes(id)))
    throw new TlsError('unexpected-id', peer.spiffe);
}

const BY_CODE: Readonly<Record<string, TlsRefusal>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'expired',
  CERT_REVOKED: 'revoked',
  CERT_SIGNATURE_FAILURE: 'untrusted',
  CERT_UNTRUSTED: 'untrusted',
  CERT_REJECTED: 'untrusted',
  CERT_CHAIN_TOO_LONG: 'untrusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'untrusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
  INVALID_CA: 'untrusted',
  INVALID_PURPOSE: 'untrusted',
  PATH_LENGTH_EXCEEDED: 'untrusted',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'no-certificate',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no-alpn',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'no-alpn',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ECONNRESET: 'closed',
  EPIPE: 'closed',
};

/** What Node says of a handshake that failed, as a reason. */
export function handshakeFailure(error: Error & { code?: string }, verifyCode?: string): TlsError {
  if (error instanceof TlsError) return error;
  const code = verifyCode ?? error.code ?? '';
  return new TlsError(BY_CODE[code] ?? (verifyCode ? 'untrusted' : 'handshake'), code || undefined);
}
