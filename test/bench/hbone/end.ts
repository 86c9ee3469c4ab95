/**
 * One end of HBONE as a process of its own, as a worker of the agent would be: JSON of EndOptions on the command line, `ready` on
 * standard output when it serves.
 */
import { HboneClient } from '../../../src/hbone/client.ts';
import { HboneServer } from '../../../src/hbone/server.ts';
import { EarlyLink } from '../../../src/proxy/early-link.ts';
import { join } from '../../../src/proxy/pipe.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import type { AcceptedLink, Transport } from '../../../src/proxy/transport.ts';
import { freshSocket, listeningSocket, TRANSPORTS } from '../../support/sockets.ts';

export interface EndOptions {
  readonly role: 'client' | 'server';
  /** a name of TRANSPORTS */
  readonly transport: string;
  readonly credentials: TlsCredentials;
  /** SPIFFE id of the other end, and its trust domain */
  readonly peer: string;
  readonly trustDomain: string;
  /** client: where the server listens, and what it asks for */
  readonly serverPort?: number;
  readonly authority?: string;
}

function main(options: EndOptions): void {
  const transport = TRANSPORTS.find(({ name }) => name === options.transport)?.create();
  if (!transport) throw new Error(`no transport ${options.transport}`);
  const { fd, port } = listeningSocket();
  if (options.role === 'server') serve(transport, fd, options);
  else tunnel(transport, fd, options);
  console.log(JSON.stringify({ ready: port }));
}

function serve(transport: Transport, fd: number, options: EndOptions): void {
  const server = new HboneServer({
    transport,
    isForbidden: () => false,
    events: { allows: () => true, socket: () => freshSocket() },
  });
  transport.listenTls(
    fd,
    {
      credentials: () => options.credentials,
      trustDomains: [options.trustDomain],
      handshakeTimeoutMs: 10_000,
    },
    (accepted) => server.accept(accepted),
    (reason) => console.error('refused', reason),
  );
}

function tunnel(transport: Transport, fd: number, options: EndOptions): void {
  const client = new HboneClient({
    transport,
    credentials: () => options.credentials,
    socket: () => freshSocket(),
  });
  const request = {
    identity: options.credentials.spiffe,
    acceptedIds: [options.peer],
    destination: { address: '127.0.0.1', port: options.serverPort ?? 0 },
    pod: 'client',
    address: '127.0.0.1',
    authority: options.authority ?? '',
  };
  const accept = ({ link, remote }: AcceptedLink): void => {
    const forwarded = `for="${remote.address}:${remote.port}"`;
    const early = new EarlyLink(link);
    client.connect({ ...request, forwarded }, early).then(
      (opened) => join(early, opened.link, () => undefined),
      (error: unknown) => {
        console.error(String(error));
        link.close(true);
      },
    );
  };
  transport.listen(fd, accept);
}

/* The parent's end is ours too. */
process.stdin.resume().on('end', () => process.exit(0));
main(JSON.parse(process.argv[2] ?? '{}') as EndOptions);
