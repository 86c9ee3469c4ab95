/**
 * A CA that signs whatever a test asks for: what a CA of the mesh must not, and lists of what it takes back.
 */
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509';
import { writePem } from '../../src/identity/pem.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;

export interface LeafWishes {
  readonly key: webcrypto.CryptoKey;
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ca?: boolean;
  /** false: no extended key usage */
  readonly usages?: readonly ('serverAuth' | 'clientAuth')[] | false;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly serial?: string;
}

export class IssuingCa {
  readonly certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.certificate = certificate;
    this.#keys = keys;
  }

  get pem(): string {
    return `${this.certificate.toString('pem')}\n`;
  }

  /** PKCS#8 */
  async keyPem(): Promise<string> {
    const key = await webcrypto.subtle.exportKey('pkcs8', this.#keys.privateKey);
    return writePem('PRIVATE KEY', new Uint8Array(key));
  }

  /** A root. */
  static async make(
    name: string,
    { ca = true, notBefore = Date.now() - DAY, notAfter = Date.now() + 3_650 * DAY } = {},
  ): Promise<IssuingCa> {
    const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomSerial(),
      name: [{ O: [name] }],
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      keys,
      signingAlgorithm: P256,
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new IssuingCa(certificate, keys);
  }

  /** An intermediate of this one. */
  async intermediate(name: string, { ca = true } = {}): Promise<IssuingCa> {
    const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      issuer: this.certificate.subjectName,
      subject: [{ O: [name] }],
      notBefore: new Date(Date.now() - DAY),
      notAfter: new Date(Date.now() + 365 * DAY),
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: P256,
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    });
    return new IssuingCa(certificate, keys);
  }

  /** PEM. */
  async leaf(wishes: LeafWishes): Promise<string> {
    const { key, uris = [], dns = [], ca = false, usages = ['serverAuth', 'clientAuth'] } = wishes;
    const names = [
      ...uris.map((value) => ({ type: 'url', value }) as const),
      ...dns.map((value) => ({ type: 'dns', value }) as const),
    ];
    const extensions: Extension[] = [new BasicConstraintsExtension(ca, undefined, true)];
    if (names.length > 0) extensions.push(new SubjectAlternativeNameExtension(names, true));
    if (usages) {
      extensions.push(new ExtendedKeyUsageExtension(usages.map((one) => ExtendedKeyUsage[one])));
    }
    const certificate = await X509CertificateGenerator.create({
      serialNumber: wishes.serial ?? randomSerial(),
      issuer: this.certificate.subjectName,
      subject: [],
      notBefore: new Date(wishes.notBefore ?? Date.now() - 60_000),
      notAfter: new Date(wishes.notAfter ?? Date.now() + DAY),
      publicKey: key,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: P256,
      extensions,
    });
    return `${certificate.toString('pem')}\n`;
  }

  /** PEM of a revocation list; `critical`: an extension it has. */
  async crl(
    serials: readonly string[],
    options: { readonly nextUpdate?: number; readonly critical?: string } = {},
  ): Promise<string> {
    const { nextUpdate = Date.now() + DAY, critical } = options;
    const crl = await X509CrlGenerator.create({
      issuer: this.certificate.subjectName,
      thisUpdate: new Date(Date.now() - 2 * DAY),
      nextUpdate: new Date(nextUpdate),
      entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
      signingKey: this.#keys.privateKey,
      signingAlgorithm: P256,
      extensions: critical ? [new Extension(critical, true, new Uint8Array([2, 1, 1]))] : [],
    });
    // the library's own label is none that openssl knows
    return writePem('X509 CRL', new Uint8Array(crl.rawData));
  }
}

export function randomSerial(): string {
  return `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
    .toString('hex')
    .slice(1)}`;
}

/** A root, and its files for an agent's --ca-cert, --ca-key and --ca-root. */
export async function givenCa(scope: {
  after(fn: () => void): void;
}): Promise<{ ca: IssuingCa; files: { certificate: string; key: string } }> {
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-ca-'));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  const ca = await IssuingCa.make('root');
  const files = { certificate: join(folder, 'ca.pem'), key: join(folder, 'ca.key') };
  writeFileSync(files.certificate, ca.pem);
  writeFileSync(files.key, await ca.keyPem(), { mode: 0o600 });
  return { ca, files };
}
