/**
 * Control's certification behind a real gRPC server with TLS, and clients of it.
 */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  Client,
  credentials as channelCredentials,
  Metadata,
  Server,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
} from '../../../src/control/auth/caller.ts';
import { JoinRegistry } from '../../../src/control/auth/join-registry.ts';
import { WorkloadIndex } from '../../../src/control/auth/workload-directory.ts';
import {
  type Certification,
  type CertificationOptions,
  startCertification,
} from '../../../src/control/ca/certification.ts';
import { FileRootStore } from '../../../src/control/ca/file-root-store.ts';
import { createLog } from '../../../src/log.ts';
import type { Address } from '../../../src/model/messages.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { createCodec } from '../../../src/xds/codec.ts';
import type {
  WireCertificateRequestInput,
  WireCertificateResponseInput,
} from '../../../src/xds/codec-certificates.ts';
import { temporaryDirectory } from '../../support/certificates.ts';

export const TRUST_DOMAIN = 'cluster.local';
export const codec = createCodec();

/** Stands for TokenReview, which the tier `kubernetes` tests: tokens are known by heart. */
class KnownTokens implements Authenticator {
  readonly callers = new Map<string, Caller>();

  authenticate({ token = '' }: { token: string | undefined }): Promise<Caller> {
    const caller = this.callers.get(token);
    return caller
      ? Promise.resolve(caller)
      : Promise.reject(new AuthenticationError('the API server does not know the token'));
  }
}

export function podCaller(account: string, node: string): Caller {
  const [namespace = '', serviceAccount = ''] = account.split('/');
  return {
    identity: { trustDomain: TRUST_DOMAIN, namespace, serviceAccount },
    pod: { namespace, name: `${serviceAccount}-x`, uid: 'uid' },
    node,
    credential: 'kubernetes-token',
  };
}

export interface Answer {
  readonly chain: readonly string[];
  readonly error: ServiceError | undefined;
}

export interface AskOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly impersonate?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly seconds?: number;
}

export class CertificateClient {
  readonly #client: Client;

  constructor(address: string, roots: string, own?: { key: string; chain: string }) {
    const tls = channelCredentials.createSsl(
      Buffer.from(roots),
      own ? Buffer.from(own.key) : null,
      own ? Buffer.from(own.chain) : null,
    );
    this.#client = new Client(address, tls, { 'grpc.use_local_subchannel_pool': 1 });
  }

  ask(csr: string, options: AskOptions = {}): Promise<Answer> {
    const { token, headers = {}, impersonate, metadata = {}, seconds = 0 } = options;
    const sent = new Metadata();
    if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
    for (const [name, values] of Object.entries(headers)) {
      for (const value of values) sent.add(name, value);
    }
    const named = {
      ...metadata,
      ...(impersonate !== undefined && { ImpersonatedIdentity: impersonate }),
    };
    const fields = Object.fromEntries(
      Object.entries(named).map(([name, stringValue]) => [name, { stringValue }]),
    );
    const request: WireCertificateRequestInput = {
      csr,
      validity_duration: seconds,
      ...(Object.keys(fields).length > 0 && { metadata: { fields } }),
    };
    const method = codec.certificates['CreateCertificate'];
    if (!method) throw new Error('the service has no CreateCertificate');
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest<WireCertificateRequestInput, WireCertificateResponseInput>(
        method.path,
        method.requestSerialize,
        method.responseDeserialize as (bytes: Buffer) => WireCertificateResponseInput,
        request,
        sent,
        { deadline: Date.now() + 10_000 },
        (error, response) => {
          resolve({ chain: response?.cert_chain ?? [], error: error ?? undefined });
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }
}

export interface Lab extends Certification {
  readonly dir: string;
  readonly registry: JoinRegistry;
  readonly tokens: Map<string, Caller>;
  readonly workloads: WorkloadIndex;
  readonly store: FileRootStore;
  readonly port: number;
  /** lines of the log, newest last */
  readonly lines: readonly string[];
  client(own?: { key: string; chain: string }): CertificateClient;
}

export async function startLab(
  t: TestContext,
  options: Partial<CertificationOptions> = {},
): Promise<Lab> {
  const dir = await temporaryDirectory(t);
  const registry = await JoinRegistry.open(join(dir, 'join'));
  const kubernetes = new KnownTokens();
  kubernetes.callers.set('agent-a', podCaller('podwire-system/podwire', 'node-a'));
  kubernetes.callers.set('agent-b', podCaller('podwire-system/podwire', 'node-b'));
  kubernetes.callers.set('pod-cart', podCaller('shop/cart', 'node-a'));
  const workloads = new WorkloadIndex('Kubernetes');
  workloads.apply({
    upserts: [workload('cart', 'node-a'), workload('web', 'node-b')],
    removals: [],
  });
  const store = new FileRootStore(join(dir, 'ca'));
  const lines: string[] = [];
  const log = createLog({ level: 'silent', pretty: false });
  const warn = (details: { err?: Error }): number => lines.push(String(details.err?.message));
  const certification = await startCertification({
    trustDomain: TRUST_DOMAIN,
    roots: { kind: 'own', store },
    workloads,
    registry,
    kubernetes,
    hosts: ['localhost', '127.0.0.1'],
    log: Object.assign(Object.create(log) as typeof log, { warn, error: warn }),
    ...options,
  });
  const server = new Server();
  certification.service.addTo(server, codec.certificates);
  // another service of control on the same server
  server.addService(codec.discovery, {});
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', certification.serving.credentials(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const clients: CertificateClient[] = [];
  t.after(async () => {
    for (const client of clients) client.close();
    server.forceShutdown();
    await certification.close();
  });
  const client = (own?: { key: string; chain: string }): CertificateClient => {
    const made = new CertificateClient(`localhost:${port}`, certification.authority.bundle(), own);
    clients.push(made);
    return made;
  };
  const { callers: tokens } = kubernetes;
  return { ...certification, dir, registry, tokens, workloads, store, port, lines, client };
}

function workload(serviceAccount: string, node: string): Address {
  const fields = { uid: serviceAccount, node, namespace: 'shop', serviceAccount };
  return { kind: 'workload', workload: { ...fields, clusterId: 'Kubernetes' } as Workload };
}
