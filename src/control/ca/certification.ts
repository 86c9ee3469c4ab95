/**
 * Everything of control that knows callers and signs certificates, put together once.
 */
import type { Log } from '../../log.ts';
import { AccessRules, type ServiceAccountName } from '../auth/access-rules.ts';
import { AnyCredential } from '../auth/any-credential.ts';
import type { Authenticator } from '../auth/caller.ts';
import { CertificateAuthenticator } from '../auth/certificate-authenticator.ts';
import { JoinTokenAuthenticator } from '../auth/join-authenticator.ts';
import type { JoinRegistry } from '../auth/join-registry.ts';
import { anyOf, type WorkloadDirectory } from '../auth/workload-directory.ts';
import {
  CertificateAuthority,
  type CertificateLives,
  DEFAULT_LIVES,
  longestLifeOf,
} from './authority.ts';
import { CertificateService } from './certificate-service.ts';
import { type GivenFiles, GivenSigner } from './given-signer.ts';
import { OwnSigner } from './own-signer.ts';
import { rotationOf, type RotationStatus } from './root-state.ts';
import type { RootStore } from './root-store.ts';
import { ServingCredentials, type ServingCredentialsOptions } from './serving-credentials.ts';
import type { SignerSource } from './signer.ts';

export interface CertificationOptions {
  readonly trustDomain: string;
  readonly roots:
    | { readonly kind: 'own'; readonly store: RootStore }
    | { readonly kind: 'given'; readonly files: GivenFiles };
  readonly lives?: CertificateLives;
  readonly workloads: WorkloadDirectory;
  /** undefined: no join tokens */
  readonly registry: JoinRegistry | undefined;
  /** TokenReview; undefined: no Kubernetes tokens */
  readonly kubernetes: Authenticator | undefined;
  readonly agents?: readonly ServiceAccountName[];
  readonly ownIdentity?: boolean;
  /** DNS names and addresses at which agents reach control */
  readonly hosts: readonly string[];
  /** see ServingCredentialsOptions */
  readonly servingFiles?: ServingCredentialsOptions['files'];
  /** see CertificateServiceOptions */
  readonly onAuthenticated?: (peer: string) => void;
  readonly log: Log;
}

export interface Certification {
  readonly authenticator: Authenticator;
  readonly rules: AccessRules;
  readonly authority: CertificateAuthority;
  readonly service: CertificateService;
  readonly serving: ServingCredentials;
  /** Begins a rotation of the roots; undefined: they were given, and are the operator's to rotate. */
  readonly rotate: (() => Promise<void>) | undefined;
  /** undefined: as above */
  rotation(): RotationStatus | undefined;
  close(): Promise<void>;
}

/** Throws PodwireError when the roots cannot be used. */
export async function startCertification(options: CertificationOptions): Promise<Certification> {
  const { trustDomain, lives = DEFAULT_LIVES, workloads, registry, log, hosts } = options;
  const signer = await startSigner(options, lives);
  try {
    const authority = new CertificateAuthority({ signer, trustDomain, lives });
    const rules = new AccessRules({
      trustDomain,
      workloads: registry ? anyOf(workloads, registry) : workloads,
      ...(options.agents && { agents: options.agents }),
      ...(options.ownIdentity !== undefined && { ownIdentity: options.ownIdentity }),
    });
    const authenticator = authenticatorOf(options, authority);
    const { onAuthenticated } = options;
    const service = new CertificateService({
      authenticator,
      rules,
      authority,
      registry,
      onAuthenticated,
      log,
    });
    const serving = await ServingCredentials.start({
      authority,
      hosts,
      lifeMs: lives.serving,
      files: options.servingFiles,
      log,
    });
    const close = async (): Promise<void> => {
      serving.close();
      await signer.close();
    };
    const own = signer instanceof OwnSigner ? signer : undefined;
    const rotate = own && (() => own.rotate());
    const rotation = (): RotationStatus | undefined => own && rotationOf(own.state);
    return { authenticator, rules, authority, service, serving, rotate, rotation, close };
  } catch (error) {
    await signer.close();
    throw error;
  }
}

function startSigner(
  { roots, trustDomain, registry, log }: CertificationOptions,
  lives: CertificateLives,
): Promise<SignerSource> {
  if (roots.kind === 'given') return GivenSigner.start({ files: roots.files, log });
  // Without nodes that join, a rotation need not wait for their certificates.
  const longestLifeMs = longestLifeOf(registry ? lives : { ...lives, node: 0 });
  return OwnSigner.start({ store: roots.store, trustDomain, longestLifeMs, log });
}

function authenticatorOf(
  { registry, trustDomain, agents, kubernetes }: CertificationOptions,
  authority: CertificateAuthority,
): Authenticator {
  const accepted = kubernetes ? { kubernetes } : {};
  if (!registry) return new AnyCredential(accepted);
  const [agent] = agents ?? [];
  const node = { registry, trustDomain, ...(agent && { agent }) };
  return new AnyCredential({
    ...accepted,
    joinToken: new JoinTokenAuthenticator(node),
    certificate: new CertificateAuthenticator({ ...node, issuers: () => authority.issuers() }),
  });
}
