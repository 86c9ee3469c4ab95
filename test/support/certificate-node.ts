/**
 * A node's certificates as the agent wires them, of a CA over the network, without a kernel; and two ends that use them.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { CaSource, tokenIn } from '../../src/identity/ca-source.ts';
import { CertificateManager } from '../../src/identity/certificate-manager.ts';
import type { CertificateStatus } from '../../src/identity/certificate-status.ts';
import type { TlsCredentials } from '../../src/model/tls-credentials.ts';
import { createLog } from '../../src/log.ts';
import {
  CertificateClient,
  type CertificateQuestion,
} from '../../src/xds/client/certificate-client.ts';
import { temporaryDirectory } from './certificates.ts';
import { codec } from './xds-client.ts';

export interface CertificateNode {
  readonly manager: CertificateManager;
  readonly tokenFile: string;
  readonly log: readonly string[];
  /** of an identity that is wanted */
  status(spiffe: string): CertificateStatus;
}

export interface CertificateNodeSetup {
  /** "HOST:PORT" */
  readonly address: string;
  /** PEM: of its TLS certificate */
  readonly roots: string;
  readonly serverName?: string;
  readonly token?: string;
  /** instead of the token */
  readonly credential?: () => CertificateQuestion['by'];
}

export async function startCertificateNode(
  t: TestContext,
  setup: CertificateNodeSetup,
): Promise<CertificateNode> {
  const { address, roots, serverName, token = 'agent-a', credential } = setup;
  const folder = await temporaryDirectory(t);
  const [rootFile, tokenFile] = [join(folder, 'roots.pem'), join(folder, 'token')];
  await writeFile(rootFile, roots);
  await writeFile(tokenFile, `${token}\n`);
  const client = new CertificateClient({
    servers: [{ name: 'ca', target: address, plaintext: false }],
    definition: codec.certificates,
    rootFile,
    serverName,
    clusterId: 'Kubernetes',
  });
  const log: string[] = [];
  const manager = new CertificateManager({
    source: new CaSource({
      name: 'ca',
      ask: (question) => client.ask(question),
      credential: credential ?? (() => tokenIn(tokenFile)),
      lifeSeconds: 86_400,
    }),
    log: createLog({ level: 'trace', pretty: false }, { write: (line) => log.push(line) }),
  });
  t.after(() => manager.close());
  const status = (spiffe: string): CertificateStatus =>
    manager.list().find(({ identity }) => identity === spiffe)!;
  return { manager, tokenFile, log, status };
}

/** mTLS as HBONE does it; the names of client and server as the other one sees them. */
export async function shakeHands(
  client: TlsCredentials,
  server: TlsCredentials,
): Promise<readonly (string | undefined)[]> {
  const tls = ({ privateKey, certificateChain, roots }: TlsCredentials) => ({
    key: privateKey,
    cert: certificateChain,
    ca: roots,
    minVersion: 'TLSv1.3' as const,
    ALPNProtocols: ['h2'],
  });
  const listener = createServer({ ...tls(server), requestCert: true, rejectUnauthorized: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  try {
    const { port } = listener.address() as AddressInfo;
    const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
    const checkServerIdentity = (): undefined => undefined;
    const socket = connect({ ...tls(client), port, host: '127.0.0.1', checkServerIdentity });
    const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
    const names = [peer.getPeerX509Certificate(), socket.getPeerX509Certificate()];
    socket.destroy();
    peer.destroy();
    return names.map((one) => one?.subjectAltName);
  } finally {
    listener.close();
  }
}
