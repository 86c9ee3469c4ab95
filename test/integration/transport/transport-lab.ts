/** Two ends of TLS on loopback over the transport under test. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import type {
  AcceptedSecureLink,
  Link,
  SecureLink,
  TlsRefusal,
  Transport,
} from '../../../src/proxy/transport.ts';
import { freshSocket, listeningSocket } from '../../support/sockets.ts';

export const TRUST_DOMAIN = 'cluster.local';

export function id(account: string, trustDomain = TRUST_DOMAIN): string {
  return `spiffe://${trustDomain}/ns/default/sa/${account}`;
}

export interface TlsServer {
  readonly port: number;
  readonly accepted: AcceptedSecureLink[];
  readonly refused: TlsRefusal[];
  /** resolves with the next connection that was not asked for yet */
  next(): Promise<AcceptedSecureLink>;
}

export function tlsServer(
  t: TestContext,
  transport: Transport,
  credentials: () => TlsCredentials | undefined,
  options: { handshakeTimeoutMs?: number; trustDomains?: readonly string[] } = {},
): TlsServer {
  const { fd, port } = listeningSocket();
  const accepted: AcceptedSecureLink[] = [];
  const refused: TlsRefusal[] = [];
  const server = transport.listenTls(
    fd,
    {
      credentials,
      trustDomains: options.trustDomains ?? [TRUST_DOMAIN],
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5000,
    },
    (connection) => accepted.push(connection),
    (reason) => refused.push(reason),
  );
  let taken = 0;
  t.after(() => {
    server.close();
    for (const { link } of accepted) link.close(true);
  });
  return {
    port,
    accepted,
    refused,
    async next() {
      await until(() => accepted.length > taken, 'a connection');
      const connection = accepted[taken++];
      assert.ok(connection);
      return connection;
    },
  };
}

export async function tlsClient(
  t: TestContext,
  transport: Transport,
  port: number,
  credentials: TlsCredentials,
  options: { acceptedIds?: readonly string[]; handshakeTimeoutMs?: number } = {},
): Promise<SecureLink> {
  const link = await transport.connectTls(
    freshSocket(),
    { address: '127.0.0.1', port },
    {
      credentials,
      acceptedIds: options.acceptedIds ?? [id('server')],
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5000,
    },
  );
  t.after(() => link.close(true));
  return link;
}

export async function until(condition: () => boolean, what: string, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`no ${what} within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What comes out of a link. */
export class Sink {
  readonly link: Link;
  bytes = Buffer.alloc(0);
  length = 0;
  ended = false;
  closed = false;
  error: Error | undefined;
  drains = 0;
  readonly #keep: boolean;

  constructor(link: Link, options: { keep?: boolean; onData?: (chunk: Buffer) => void } = {}) {
    this.link = link;
    this.#keep = options.keep ?? true;
    link.start({
      data: (chunk) => {
        this.length += chunk.length;
        if (this.#keep) this.bytes = Buffer.concat([this.bytes, chunk]);
        options.onData?.(chunk);
      },
      end: () => {
        assert.equal(this.ended, false, 'end() twice');
        this.ended = true;
      },
      drain: () => this.drains++,
      close: (error) => {
        assert.equal(this.closed, false, 'close() twice');
        this.closed = true;
        this.error = error;
      },
    });
  }
}

/** Sends everything and minds what send() says. */
export async function sendAll(sink: Sink, bytes: Buffer, piece = 50_000): Promise<void> {
  for (let at = 0; at < bytes.length; at += piece) {
    const before = sink.drains;
    if (!sink.link.send(bytes.subarray(at, at + piece)))
      await until(() => sink.drains > before || sink.closed, 'drain');
    if (sink.closed) throw new Error('closed while sending');
  }
}
