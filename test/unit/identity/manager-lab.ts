/** A certificate manager with a clock in the test's hand, and a real CA whose answers the test may spoil. */
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CertificateAuthority } from '../../../src/control/ca/authority.ts';
import { FileRootStore } from '../../../src/control/ca/file-root-store.ts';
import { OwnSigner } from '../../../src/control/ca/own-signer.ts';
import { CertificateManager } from '../../../src/identity/certificate-manager.ts';
import type {
  CertificateSource,
  IssuedCertificate,
} from '../../../src/identity/certificate-source.ts';
import { newP256Key } from '../../../src/identity/csr.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { createLog } from '../../../src/log.ts';
import { parseSpiffe } from '../../../src/model/identity.ts';
import { temporaryDirectory } from '../../support/certificates.ts';
import { ManualClock } from './manual-clock.ts';

export const HOUR = 3_600_000;
export const TD = 'cluster.local';
export const CART = `spiffe://${TD}/ns/shop/sa/cart`;
export const WEB = `spiffe://${TD}/ns/shop/sa/web`;
const LIVES = { workload: 24 * HOUR, node: 0, serving: 0 };

type Real = () => Promise<IssuedCertificate>;

/** `behave` stands between the manager and the CA. */
export class LabSource implements CertificateSource {
  readonly name = 'lab';
  prefetch = true;
  renews = false;
  readonly asked: string[] = [];
  readonly released: string[] = [];
  active = 0;
  peak = 0;
  closed = false;
  behave: (real: Real, spiffe: string, signal: AbortSignal) => Promise<IssuedCertificate> = (
    real,
  ) => real();
  tell: (spiffe?: string) => void = () => {};
  readonly #sign: (spiffe: string) => Promise<IssuedCertificate>;
  readonly #working = new Set<Promise<unknown>>();

  constructor(sign: (spiffe: string) => Promise<IssuedCertificate>) {
    this.#sign = sign;
  }

  async issue(spiffe: string, signal: AbortSignal): Promise<IssuedCertificate> {
    this.asked.push(spiffe);
    this.peak = Math.max(this.peak, ++this.active);
    try {
      return await this.behave(() => this.#work(spiffe), spiffe, signal);
    } finally {
      this.active--;
    }
  }

  release(spiffe: string): void {
    this.released.push(spiffe);
  }

  onChange(listener: (spiffe?: string) => void): void {
    this.tell = listener;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  /** Signing is done in other threads: waits for that, and for what it set off. */
  readonly settle = async (): Promise<void> => {
    do {
      await Promise.allSettled(this.#working);
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    } while (this.#working.size > 0);
  };

  #work(spiffe: string): Promise<IssuedCertificate> {
    const work = this.#sign(spiffe);
    this.#working.add(work);
    return work.finally(() => this.#working.delete(work));
  }
}

export interface Lab {
  readonly manager: CertificateManager;
  readonly source: LabSource;
  readonly clock: ManualClock;
  readonly signer: OwnSigner;
  /** what consumers were told, in order */
  readonly told: (readonly [string, TlsCredentials | undefined])[];
  /** lines of the log */
  readonly log: string[];
}

export async function startLab(t: TestContext, random: () => number = () => 0.5): Promise<Lab> {
  const source = new LabSource((spiffe) => sign(spiffe));
  const clock = new ManualClock(Date.parse('2027-01-01T00:00:00Z'), source.settle);
  const signer = await OwnSigner.start({
    store: new FileRootStore(join(await temporaryDirectory(t), 'ca')),
    trustDomain: TD,
    longestLifeMs: 24 * HOUR,
    log: createLog({ level: 'silent', pretty: false }),
    time: clock,
    // the test calls check() itself
    intervalMs: 1 << 30,
  });
  const authority = new CertificateAuthority({
    signer,
    trustDomain: TD,
    lives: LIVES,
    wall: clock.wall,
  });
  const sign = async (spiffe: string): Promise<IssuedCertificate> => {
    // as it would each minute: a CA that has not read its store for long signs nothing
    await signer.check();
    const key = newP256Key();
    const chain = await authority.issueWorkload(parseSpiffe(spiffe)!, createPublicKey(key), 0);
    return { key, chain: chain.slice(0, -1), roots: chain.at(-1) ?? '' };
  };
  const log: string[] = [];
  const manager = new CertificateManager({
    source,
    clock,
    random,
    log: createLog({ level: 'trace', pretty: false }, { write: (line) => log.push(line) }),
  });
  t.after(async () => {
    await manager.close();
    await signer.close();
  });
  const told: Lab['told'] = [];
  manager.onChange((spiffe, credentials) => told.push([spiffe, credentials]));
  return { manager, source, clock, signer, told, log };
}
