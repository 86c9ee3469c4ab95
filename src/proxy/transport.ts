/**
 * The contract between a codec and whatever carries its bytes. A transport accepts connections that the kernel handed over,
 * with what the kernel knows of them, and gives each as a Link. net.Socket is one transport (net-transport.ts); others pass
 * the same test suite.
 */

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
}

export interface LinkHandlers {
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
  /** false: queued, but wait for drain() before the next */
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
  /** Connects a socket made elsewhere (in a pod's namespace). */
  connect(fd: number, to: Endpoint): Promise<Link>;
}
