/**
 * The certificates of this node's pods, from the pods to the data plane: enrolled identities → manager → workers.
 *
 * It starts behind everything else, and nothing waits for it: connections in the kernel need no certificate.
 */
import type { AgentOptions } from '../../config/agent-options.ts';
import { CertificateManager } from '../../identity/certificate-manager.ts';
import type {
  CertificateNumbers,
  CertificateStatus,
  HeldChain,
} from '../../identity/certificate-status.ts';
import { CrlFile, type CrlStatus } from '../../identity/crl-file.ts';
import type { RevocationList } from '../../identity/revocation-list.ts';
import type { Log } from '../../log.ts';
import type { Finding } from '../../model/finding.ts';
import { parseSpiffe } from '../../model/identity.ts';
import type { ClientCredential } from '../../xds/client/client-tls.ts';
import type { ToWorker } from '../data-plane/messages.ts';
import { openCertificateSource } from './open-source.ts';

export interface CertificatesOptions {
  readonly options: Pick<AgentOptions, 'certificates' | 'trustDomain' | 'clusterId'>;
  readonly stateDir: string;
  /** of a machine that joined by a token */
  readonly credential: () => ClientCredential | undefined;
  /** to every worker that runs; one that starts later asks for `greeting` */
  readonly tell: (message: ToWorker) => void;
  readonly log: Log;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #log: Log;
  readonly #reason: string;
  /** of enrolled pods */
  #identities: ReadonlySet<string> = new Set();
  /** waited for before there was a manager to ask */
  readonly #early = new Set<string>();
  #manager: CertificateManager | undefined;
  #crl: CrlFile | undefined;
  #revocations: RevocationList | undefined;
  #starting: Promise<void> | undefined;
  #closed = false;

  constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: 'certificates' });
    const { source } = options.options.certificates;
    this.#reason = source.kind === 'none' ? source.reason : '';
  }

  /** Never rejects. */
  start(): Promise<void> {
    this.#starting ??= this.#start().catch((err: unknown) => {
      this.#log.error({ err }, 'certificates cannot be had');
    });
    return this.#starting;
  }

  /** The identities of all enrolled pods, as they are now. */
  follow(identities: ReadonlySet<string>): void {
    const gone = [...this.#identities].filter((spiffe) => !identities.has(spiffe));
    const come = [...identities].filter((spiffe) => !this.#identities.has(spiffe));
    this.#identities = identities;
    for (const spiffe of gone) this.#manager?.release(spiffe);
    for (const spiffe of come) this.#want(spiffe, 'soon');
  }

  /** A connection of the data plane waits for it; those without a pod here get none. */
  demand(spiffe: string): void {
    if (!this.#identities.has(spiffe)) return;
    if (this.#manager) this.#want(spiffe, 'now');
    else this.#early.add(spiffe);
  }

  /** What a worker must know before its first connection. */
  greeting(): readonly ToWorker[] {
    const held = [...(this.#manager?.all() ?? [])];
    return [
      { kind: 'revocations', list: this.#revocations },
      ...held.map((credentials): ToWorker => {
        return { kind: 'credentials', spiffe: credentials.spiffe, credentials };
      }),
    ];
  }

  /** "" without one */
  get source(): string {
    return this.#manager?.source ?? '';
  }

  /** why there is no source; "" */
  get reason(): string {
    return this.#reason;
  }

  list(): readonly CertificateStatus[] {
    return this.#manager?.list() ?? [];
  }

  chains(): readonly HeldChain[] {
    return this.#manager?.chains() ?? [];
  }

  numbers(): CertificateNumbers | undefined {
    return this.#manager?.numbers();
  }

  crl(): CrlStatus | undefined {
    return this.#crl?.status();
  }

  findings(): readonly Finding[] {
    const crl = this.crl();
    const missing = this.list().filter(({ error }) => error !== '');
    return [...missing.map((one) => this.#finding(one)), ...(crl?.error ? [crlFinding(crl)] : [])];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting;
    await this.#crl?.close();
    await this.#manager?.close();
  }

  async #start(): Promise<void> {
    const { options, stateDir, credential, tell } = this.#options;
    const { certificates, trustDomain, clusterId } = options;
    const log = this.#log;
    const { crlFile } = certificates;
    if (crlFile !== undefined) {
      const onChange = (list: RevocationList): void => this.#revoke(list);
      this.#crl = new CrlFile({ path: crlFile, onChange, log });
      await this.#crl.start();
    }
    const source = await openCertificateSource({
      options: certificates,
      trustDomain,
      clusterId,
      stateDir,
      credential: credential(),
      log,
    });
    if (source === undefined) {
      log.info({ reason: this.#reason }, 'no certificates: nothing is encrypted');
      return;
    }
    if (this.#closed) return source.close();
    const manager = new CertificateManager({ source, log });
    manager.setRevocations(this.#revocations);
    manager.onChange((spiffe, credentials) => tell({ kind: 'credentials', spiffe, credentials }));
    this.#manager = manager;
    for (const spiffe of this.#identities) {
      this.#want(spiffe, this.#early.has(spiffe) ? 'now' : 'soon');
    }
    this.#early.clear();
  }

  #want(spiffe: string, priority: 'now' | 'soon'): void {
    // a ServiceAccount's or trust domain's name that no certificate can carry: said where it was written
    if (parseSpiffe(spiffe) !== undefined) this.#manager?.want(spiffe, priority);
  }

  /** The workers first: a connection that is to be cut must not be taken by newer credentials. */
  #revoke(list: RevocationList): void {
    this.#revocations = list;
    this.#options.tell({ kind: 'revocations', list });
    this.#manager?.setRevocations(list);
  }

  #finding({ identity, state, notAfter, error }: CertificateStatus): Finding {
    const { namespace = '', serviceAccount = '' } = parseSpiffe(identity) ?? {};
    const valid = state === 'valid';
    return {
      code: 'CERTIFICATE_UNAVAILABLE',
      severity: valid ? 'warning' : 'error',
      file: '',
      resource: `ServiceAccount ${namespace}/${serviceAccount}`,
      path: '',
      message: valid
        ? `its certificate ends ${notAfter} and cannot be renewed: ${error}`
        : `has no certificate: ${error}`,
      fix: `see that ${this.source} answers and may issue for it`,
    };
  }
}

function crlFinding({ path, lists, error }: CrlStatus): Finding {
  return {
    code: 'CRL_UNUSABLE',
    severity: 'error',
    file: path,
    resource: '',
    path: '',
    message: error,
    fix: lists > 0 ? 'mend it; the last good one is in force' : 'mend it; nothing is revoked',
  };
}
