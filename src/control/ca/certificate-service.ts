/**
 * istio.v1.auth.IstioCertificateService/CreateCertificate, for ztunnel, Istio's agents and podwire's.
 *
 * Statuses are istiod's: UNAUTHENTICATED for who may not, without a reason, INVALID_ARGUMENT for a bad request, UNAVAILABLE
 * when nothing can be signed; clients try again after all of them.
 */
import { createHash, type KeyObject } from 'node:crypto';
import {
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import type { Log } from '../../log.ts';
import { formatSpiffe } from '../../model/identity.ts';
import type {
  WireCertificateRequest,
  WireCertificateResponseInput,
} from '../../xds/codec-certificates.ts';
import { AccessDeniedError, type AccessRules } from '../auth/access-rules.ts';
import { AuthenticationError, type Authenticator, type Caller } from '../auth/caller.ts';
import { credentialsOf } from '../auth/credentials.ts';
import type { JoinRegistry } from '../auth/join-registry.ts';
import type { CertificateAuthority, CertificateChain } from './authority.ts';
import { CertificateRequestError, readCertificateRequest } from './certificate-request.ts';
import { SignerUnavailableError } from './signer.ts';

export interface CertificateServiceOptions {
  readonly authenticator: Authenticator;
  readonly rules: AccessRules;
  readonly authority: CertificateAuthority;
  /** undefined: nodes join by Kubernetes tokens only */
  readonly registry: JoinRegistry | undefined;
  /** of the connection a credential came over, as gRPC names it */
  readonly onAuthenticated?: ((peer: string) => void) | undefined;
  readonly log: Log;
}

export type Refusal = 'unauthenticated' | 'denied' | 'bad-request' | 'unavailable' | 'internal';

export interface CertificateNumbers {
  readonly issued: { readonly workload: number; readonly node: number };
  readonly refused: Readonly<Record<Refusal, number>>;
}

type Call = ServerUnaryCall<WireCertificateRequest, WireCertificateResponseInput>;

/** per second and kind of refusal; the counters have them all */
const MAX_LOG_LINES = 10;
const IMPERSONATED = 'ImpersonatedIdentity';

export class CertificateService {
  readonly #options: CertificateServiceOptions;
  readonly #issued = { workload: 0, node: 0 };
  readonly #refused: Record<Refusal, number> = {
    unauthenticated: 0,
    denied: 0,
    'bad-request': 0,
    unavailable: 0,
    internal: 0,
  };
  readonly #logged = new Map<Refusal, number>();
  #logSecond = 0;

  constructor(options: CertificateServiceOptions) {
    this.#options = options;
  }

  /** Next to whatever else the server serves; `definition` is `createCodec().certificates`. */
  addTo(server: Server, definition: ServiceDefinition): void {
    server.addService(definition, {
      CreateCertificate: (call: Call, answer: sendUnaryData<WireCertificateResponseInput>) => {
        void this.#answer(call, answer);
      },
    });
  }

  numbers(): CertificateNumbers {
    return { issued: { ...this.#issued }, refused: { ...this.#refused } };
  }

  async #answer(call: Call, answer: sendUnaryData<WireCertificateResponseInput>): Promise<void> {
    let caller: Caller | undefined;
    try {
      caller = await this.#options.authenticator.authenticate(credentialsOf(call));
      this.#options.onAuthenticated?.(call.getPeer());
      answer(null, { cert_chain: [...(await this.#create(caller, call.request))] });
    } catch (error) {
      const { refusal, code, details } = refusalOf(error);
      this.#refused[refusal]++;
      this.#logRefusal(refusal, { err: error, peer: call.getPeer(), ...(caller && { caller }) });
      answer({ code, details });
    }
  }

  async #create(caller: Caller, request: WireCertificateRequest): Promise<CertificateChain> {
    const { rules, authority } = this.#options;
    const grant = rules.grant(caller, impersonatedOf(request));
    const key = await readCertificateRequest(request.csr);
    const lifeMs = lifeOf(request);
    if (grant.kind === 'node') {
      const enrolment = await this.#enrolmentOf(caller, grant.node, key);
      const chain = await authority.issueNode(grant.node, enrolment, key, lifeMs);
      this.#noteIssued('node', caller, grant.node);
      return chain;
    }
    const chain = await authority.issueWorkload(grant.identity, key, lifeMs);
    this.#noteIssued('workload', caller, formatSpiffe(grant.identity));
    return chain;
  }

  /** Spends the join token, the last step that can fail for the caller's sake. */
  async #enrolmentOf(caller: Caller, name: string, key: KeyObject): Promise<string> {
    const { registry } = this.#options;
    if (!registry) throw new AccessDeniedError('nodes cannot join this control');
    if (caller.credential === 'join-token') {
      const spki = key.export({ format: 'der', type: 'spki' });
      const fingerprint = createHash('sha256').update(spki).digest('hex');
      return (await registry.redeem(caller.joinToken ?? '', fingerprint)).enrolment;
    }
    const node = await registry.node(name);
    if (!node) throw new AccessDeniedError(`node ${name} was revoked`);
    return node.enrolment;
  }

  /** A second's first few of a kind: whoever is refused may come again a thousand times a second. */
  #logRefusal(refusal: Refusal, details: object): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#logSecond) {
      this.#logSecond = second;
      this.#logged.clear();
    }
    const logged = this.#logged.get(refusal) ?? 0;
    this.#logged.set(refusal, logged + 1);
    if (logged >= MAX_LOG_LINES) return;
    const { log } = this.#options;
    const line = { ...details, refusal, refused: this.#refused[refusal] };
    if (refusal === 'internal' || refusal === 'unavailable') log.error(line, 'no certificate');
    else log.warn(line, 'certificate refused');
  }

  #noteIssued(kind: 'workload' | 'node', { node, credential }: Caller, subject: string): void {
    this.#issued[kind]++;
    this.#options.log.info({ kind, subject, node, credential }, 'certificate issued');
  }
}

/** undefined: the caller asks for itself. Throws CertificateRequestError. */
function impersonatedOf({ metadata }: WireCertificateRequest): string | undefined {
  const value = metadata?.fields[IMPERSONATED];
  if (value === undefined) return undefined;
  if (value.kind !== 'stringValue' || !value.stringValue) {
    throw new CertificateRequestError(`metadata: ${IMPERSONATED} is no text`);
  }
  return value.stringValue;
}

/** ms; 0: as long as allowed */
function lifeOf({ validity_duration }: WireCertificateRequest): number {
  const ms = Number(validity_duration) * 1000;
  return ms > 0 ? ms : 0;
}

function refusalOf(error: unknown): { refusal: Refusal; code: status; details: string } {
  if (error instanceof AuthenticationError) {
    const details = 'request authenticate failure';
    return { refusal: 'unauthenticated', code: status.UNAUTHENTICATED, details };
  }
  if (error instanceof AccessDeniedError) {
    const details = 'request impersonation authentication failure';
    return { refusal: 'denied', code: status.UNAUTHENTICATED, details };
  }
  if (error instanceof CertificateRequestError) {
    return { refusal: 'bad-request', code: status.INVALID_ARGUMENT, details: error.message };
  }
  if (error instanceof SignerUnavailableError) {
    const details = 'no certificate can be signed now';
    return { refusal: 'unavailable', code: status.UNAVAILABLE, details };
  }
  return { refusal: 'internal', code: status.INTERNAL, details: 'internal error' };
}
