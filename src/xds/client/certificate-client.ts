/**
 * Asks control for certificates (istio.v1.auth.IstioCertificateService), one server after the other.
 */
import { Client, Metadata, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import type {
  WireCertificateRequestInput,
  WireCertificateResponse,
} from '../codec-certificates.ts';
import { CertificateRefusedError } from './certificate-refused-error.ts';
import type { XdsServer } from './channel.ts';
import { clientTls, type KeyAndChain } from './client-tls.ts';

export interface CertificateClientOptions {
  /** in order of preference, at least one; those without TLS are passed over */
  readonly servers: readonly XdsServer[];
  /** `createCodec().certificates` */
  readonly definition: ServiceDefinition;
  readonly rootFile: string | undefined;
  readonly serverName: string | undefined;
  readonly clusterId: string;
}

export interface CertificateQuestion {
  /** PEM */
  readonly csr: string;
  /** 0: as long as allowed */
  readonly lifeSeconds: number;
  /** the SPIFFE id of whom it is for; absent: the caller itself */
  readonly impersonate?: string;
  /** who asks: by token, or by the certificate it has */
  readonly by: { readonly token: string } | KeyAndChain;
  /** PEM of roots to believe besides those of the file, "" without any */
  readonly roots: string;
}

const DEADLINE_MS = 5_000;
/** a chain and a bundle of a hundred roots are below 256 KiB */
const MAX_ANSWER_BYTES = 1024 * 1024;
const IMPERSONATED = 'ImpersonatedIdentity';

export class CertificateClient {
  readonly #options: CertificateClientOptions;

  constructor(options: CertificateClientOptions) {
    this.#options = options;
  }

  /** PEM: certificate, intermediates, roots in the last. Throws CertificateRefusedError when a server said no, or Error. */
  async ask(question: CertificateQuestion): Promise<readonly string[]> {
    const failures: string[] = [];
    let refused = false;
    for (const server of this.#options.servers.filter(({ plaintext }) => !plaintext)) {
      try {
        return await this.#askOne(server, question);
      } catch (error) {
        const { code, message } = error as ServiceError;
        refused ||= code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED;
        failures.push(`${server.name}: ${message}`);
      }
    }
    const message = failures.join('; ') || 'no server has TLS';
    throw refused ? new CertificateRefusedError(message) : new Error(message);
  }

  async #askOne(server: XdsServer, question: CertificateQuestion): Promise<readonly string[]> {
    const { definition, rootFile, serverName, clusterId } = this.#options;
    const { csr, lifeSeconds, impersonate, by, roots } = question;
    const metadata = new Metadata();
    metadata.set('clusterid', clusterId);
    if ('token' in by) metadata.set('authorization', `Bearer ${by.token}`);
    const tls = clientTls(rootFile, 'token' in by ? undefined : by, roots);
    const client = new Client(server.target, tls, {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
      'grpc.service_config_disable_resolution': 1,
      ...(serverName !== undefined && {
        'grpc.ssl_target_name_override': serverName,
        'grpc.default_authority': serverName,
      }),
    });
    const { path, requestSerialize, responseDeserialize } = definition['CreateCertificate']!;
    const request: WireCertificateRequestInput = {
      csr,
      validity_duration: lifeSeconds,
      ...(impersonate !== undefined && {
        metadata: { fields: { [IMPERSONATED]: { stringValue: impersonate } } },
      }),
    };
    try {
      return await new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize as (bytes: Buffer) => WireCertificateResponse,
          request,
          metadata,
          { deadline: Date.now() + DEADLINE_MS },
          (error, response) => (error ? reject(error) : resolve(response?.cert_chain ?? [])),
        );
      });
    } finally {
      client.close();
    }
  }
}
