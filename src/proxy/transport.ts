/**
 * The contract between a codec and whatever carries its bytes. A transport accepts connections that the kernel handed over,
 * with what the kernel knows of them, and gives each as a Link. net.Socket is one transport (net-transport.ts); others pass
 * the same test suite.
 */
import type { TlsCredentials } from '../model/tls-credentials.ts';

export interface Endpoint {
  /** text form, IPv4 not mapped */
  readonly address: string;
  readonly port: number;
}

/** What the provenance record says of an accepted connection. */
export interface Origin {
  /** where the application wanted to go, after load balancing */
  readonly target: Endpoint;
  /** what the application dialled (the Service's VIP, or the target itself) */
  readonly dialled: Endpoint;
  /** the real client */
  readonly client: Endpoint;
  /** numbers of the source; 0: no proven identity */
  readonly sourceIdentity: number;
  readonly sourcePod: number;
  /** captured because it goes over HBONE */
  readonly tunnelled: boolean;
}

export interface LinkHandlers {
  /** The bytes are the handler's until it returns: send() takes them as they are, who keeps them longer copies them. */
  data(chunk: Buffer): void;
  /** the peer half-closed: no more data will come */
  end(): void;
  /** what was refused by send() may be sent again */
  drain(): void;
  /** the end of the link, once; `error` when it was not orderly */
  close(error?: Error): void;
}

/** One direction-pair of bytes. */
export interface Link {
  readonly fd: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  start(handlers: LinkHandlers): void;
  /**
   * Gives the bytes away: they must not change afterwards. Sends of one turn of the event loop may leave together, so a frame's
   * head and payload are two sends. false: queued, but wait for drain() before the next.
   */
  send(chunk: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** half-close after what was sent */
  end(): void;
  /** reset: true sends RST */
  close(reset: boolean): void;
}

export interface AcceptedLink {
  readonly link: Link;
  /** the address the client connected to, as the accepted socket shows it */
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

export interface Transport {
  /** Serves a listening descriptor until close(). The kernel may have queued connections already. */
  listen(fd: number, onAccept: (accepted: AcceptedLink) => void): { close(): void };
  /**
   * Connects a socket made elsewhere (in a pod's namespace); without `timeoutMs` for as long as the kernel tries. Rejects with
   * an Error whose `code` is the errno's name.
   */
  connect(fd: number, to: Endpoint, timeoutMs?: number): Promise<Link>;
  /**
   * The same with TLS: `onAccept` hears of connections whose peer is proven, `onRefused` of each other one, which is closed
   * already.
   */
  listenTls(
    fd: number,
    profile: TlsServerProfile,
    onAccept: (accepted: AcceptedSecureLink) => void,
    onRefused: (reason: TlsRefusal, remote: Endpoint) => void,
  ): { close(): void };
  /**
   * Resolves when the server is proven; rejects with TlsError, or with what connect() rejects with. In TLS 1.3 the server's
   * refusal of the client comes later: as the end of the link before its first bytes.
   */
  connectTls(fd: number, to: Endpoint, profile: TlsClientProfile): Promise<SecureLink>;
}

/*
 * TLS as ztunnel speaks it: TLS 1.3 with AES-GCM only, ALPN h2, no SNI, no resumption, certificates on both sides that chain to
 * the own credentials' roots and name a SPIFFE id; DNS names are ignored.
 */

/** What a peer has proven. */
export interface TlsPeer {
  /** the first URI name that has exactly Istio's form */
  readonly spiffe: string;
  /** all such names, in order */
  readonly spiffeIds: readonly string[];
  /** of the leaf: lower-case hex, two digits a byte, as in its DER without the sign's zero byte */
  readonly serial: string;
  /** SHA-256 of the DER of the leaf's issuer name, lower-case hex: with `serial`, what a CRL names */
  readonly issuerHash?: string;
  /** ms since 1970 */
  readonly notAfter: number;
}

export interface SecureLink extends Link {
  readonly peer: TlsPeer;
}

export interface AcceptedSecureLink extends AcceptedLink {
  readonly link: SecureLink;
}

export interface TlsServerProfile {
  /** Asked at every accept, so that a rotation needs no new listener; undefined: refuse the connection. */
  credentials(): TlsCredentials | undefined;
  /** the peer's id must be in one of these */
  readonly trustDomains: readonly string[];
  readonly handshakeTimeoutMs: number;
}

export interface TlsClientProfile {
  readonly credentials: TlsCredentials;
  /** the peer must have one of these SPIFFE ids */
  readonly acceptedIds: readonly string[];
  /** from the call on, the TCP handshake included */
  readonly handshakeTimeoutMs: number;
}

/** Why a peer was not taken; metrics and logs show these words. */
export const TLS_REFUSALS = [
  /** there is no certificate of one's own yet */
  'no-credentials',
  /** the peer showed no certificate */
  'no-certificate',
  /** it does not chain to the roots, or may not be used for this side */
  'untrusted',
  /** not valid any more, or not yet */
  'expired',
  'revoked',
  /** no URI name of exactly Istio's form */
  'no-spiffe-id',
  'wrong-trust-domain',
  /** a proven id, but none of those accepted */
  'unexpected-id',
  'no-alpn',
  /** no TLS, no common version or cipher, or an alert of the peer */
  'handshake',
  /** the peer ended the connection during the handshake */
  'closed',
  'timeout',
] as const;
export type TlsRefusal = (typeof TLS_REFUSALS)[number];

export class TlsError extends Error {
  readonly reason: TlsRefusal;

  constructor(reason: TlsRefusal, detail?: string) {
    super(detail === undefined ? `TLS: ${reason}` : `TLS: ${reason} (${detail})`);
    this.name = 'TlsError';
    this.reason = reason;
  }
}
