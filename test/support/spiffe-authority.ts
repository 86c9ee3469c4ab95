/** A certificate authority of a test: credentials of workloads as istiod issues them, and those nobody should take. */
import { type webcrypto, randomBytes, webcrypto as crypto } from 'node:crypto';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  type X509Certificate,
} from '@peculiar/x509';
import type { TlsCredentials } from '../../src/model/tls-credentials.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const HOUR = 3_600_000;

export interface LeafOptions {
  /** URI names, in order; the first is the credentials' id */
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** ms since 1970 */
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly usages?: readonly ('server' | 'client')[];
  readonly rsa?: boolean;
  /** a leaf that is an authority */
  readonly ca?: boolean;
  readonly version?: number;
  readonly crls?: string;
  /** roots to trust, instead of this authority's */
  readonly roots?: string;
}

export class SpiffeAuthority {
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #certificate: X509Certificate;
  /** certificates between this authority and its root, its own first */
  readonly #chain: string;
  readonly roots: string;

  private constructor(
    keys: webcrypto.CryptoKeyPair,
    certificate: X509Certificate,
    chain: string,
    roots: string,
  ) {
    this.#keys = keys;
    this.#certificate = certificate;
    this.#chain = chain;
    this.roots = roots;
  }

  static async create(name = 'root'): Promise<SpiffeAuthority> {
    const keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const certificate = await X509CertificateGenerator.createSelfSigned({
      serialNumber: serial(),
      name: `O=${name}`,
      notBefore: new Date(Date.now() - HOUR),
      notAfter: new Date(Date.now() + 100 * HOUR),
      keys,
      signingAlgorithm: P256,
      extensions: authorityExtensions(),
    });
    return new SpiffeAuthority(keys, certificate, '', pem(certificate));
  }

  /** An authority under this one. */
  async intermediate(name = 'intermediate'): Promise<SpiffeAuthority> {
    const keys = await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
    const certificate = await this.#sign({
      subject: `O=${name}`,
      publicKey: keys.publicKey,
      extensions: authorityExtensions(),
    });
    return new SpiffeAuthority(keys, certificate, pem(certificate) + this.#chain, this.roots);
  }

  async issue(uri: string, options: LeafOptions = {}): Promise<TlsCredentials> {
    const { uris = [uri], dnsNames = [], usages = ['server', 'client'] } = options;
    const keys = await crypto.subtle.generateKey(options.rsa ? RSA : P256, true, [
      'sign',
      'verify',
    ]);
    const names = [
      ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
      ...uris.map((value) => ({ type: 'url', value }) as const),
    ];
    const purposes = usages.map((usage) => (usage === 'server' ? SERVER_AUTH : CLIENT_AUTH));
    const certificate = await this.#sign({
      subject: '',
      publicKey: keys.publicKey,
      notBefore: options.notBefore,
      notAfter: options.notAfter,
      extensions: [
        ...(options.ca
          ? authorityExtensions(KeyUsageFlags.digitalSignature)
          : [
              new BasicConstraintsExtension(false, undefined, true),
              new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
            ]),
        new ExtendedKeyUsageExtension(purposes),
        ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names, true)] : []),
      ],
    });
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      spiffe: uris[0] ?? '',
      certificateChain: pem(certificate) + this.#chain,
      privateKey: PemConverter.encode(key, 'PRIVATE KEY'),
      roots: options.roots ?? this.roots,
      version: options.version ?? 1,
      ...(options.crls === undefined ? {} : { crls: options.crls }),
    };
  }

  #sign(input: {
    subject: string;
    publicKey: webcrypto.CryptoKey;
    extensions: Extension[];
    notBefore?: number | undefined;
    notAfter?: number | undefined;
  }): Promise<X509Certificate> {
    return X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: input.subject,
      issuer: this.#certificate.subject,
      notBefore: new Date(input.notBefore ?? Date.now() - HOUR),
      notAfter: new Date(input.notAfter ?? Date.now() + HOUR),
      publicKey: input.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: P256,
      extensions: input.extensions,
    });
  }

  /** PEM of a list that names these serial numbers (hex). */
  async revoke(...serials: readonly string[]): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - HOUR),
      nextUpdate: new Date(Date.now() + HOUR),
      entries: serials.map((serialNumber) => ({ serialNumber, revocationDate: new Date() })),
      signingAlgorithm: P256,
      signingKey: this.#keys.privateKey,
    });
    return `${PemConverter.encode(list.rawData, 'X509 CRL')}\n`;
  }
}

function authorityExtensions(more = 0): Extension[] {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | more, true),
  ];
}

/** The first bit is set: its DER has a sign byte. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return bytes.toString('hex');
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
