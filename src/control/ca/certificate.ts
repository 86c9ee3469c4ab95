/**
 * The certificates podwire makes: self-signed roots and leaves.  Everything in them is decided here; of a request only the
 * public key is used.
 */
import {
  createHash,
  createPrivateKey,
  type KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate as NodeCertificate,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '../../identity/x509.ts';
import { readPem, writePem } from '../../identity/pem.ts';

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface SigningKey {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

export interface AlternativeName {
  readonly type: 'url' | 'dns' | 'ip';
  readonly value: string;
}

export interface LeafTemplate {
  readonly key: KeyObject;
  readonly names: readonly AlternativeName[];
  /** none: the names are the whole identity, as in workload certificates */
  readonly organizationalUnit?: string;
  readonly usages: readonly ('server' | 'client')[];
  readonly validity: Validity;
}

export interface NewRoot {
  readonly certificate: string;
  /** PKCS #8 */
  readonly key: string;
}

const SERIAL_BYTES = 16;
const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** PEM of the leaf. */
export async function signLeaf(signer: SigningKey, template: LeafTemplate): Promise<string> {
  const { key, names, organizationalUnit, usages, validity } = template;
  const publicKey = key.export({ format: 'der', type: 'spki' });
  const rsa = key.asymmetricKeyType === 'rsa';
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    issuer: signer.certificate.subjectName,
    subject: organizationalUnit === undefined ? [] : [{ OU: [organizationalUnit] }],
    ...validity,
    publicKey,
    signingKey: signer.key,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | (rsa ? KeyUsageFlags.keyEncipherment : 0),
        true,
      ),
      new ExtendedKeyUsageExtension(
        usages.map((usage) => ExtendedKeyUsage[usage === 'server' ? 'serverAuth' : 'clientAuth']),
      ),
      new AuthorityKeyIdentifierExtension(keyIdentifierOf(signer.certificate)),
      new SubjectAlternativeNameExtension(
        names.map(({ type, value }) => ({ type, value })),
        // RFC 5280 4.2.1.6: critical where there is no subject
        organizationalUnit === undefined,
      ),
    ],
  });
  return writePem('CERTIFICATE', new Uint8Array(certificate.rawData));
}

/** A self-signed ECDSA P-256 root; no two have the same name, so that verifiers never mix them up. */
export async function createRoot(trustDomain: string, validity: Validity): Promise<NewRoot> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const serial = serialNumber();
  const extensions: Extension[] = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(keys.publicKey),
  ];
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: [{ O: [trustDomain] }, { CN: [`podwire root ${serial.slice(0, 8)}`] }],
    ...validity,
    keys,
    extensions,
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: writePem('CERTIFICATE', new Uint8Array(certificate.rawData)),
    key: writePem('PRIVATE KEY', new Uint8Array(pkcs8)),
  };
}

/** Of PEM; throws when it is not one certificate. */
export function parseCertificate(pem: string): X509Certificate {
  const [block, ...others] = readPem(pem) ?? [];
  if (block?.label !== 'CERTIFICATE' || others.length > 0) throw new Error('not one certificate');
  return new X509Certificate(block.der);
}

/** PEM of a certificate and its unencrypted key; throws when they do not belong together, or cannot sign. */
export async function importSigner(certificate: string, privateKey: string): Promise<SigningKey> {
  const key = createPrivateKey(privateKey);
  if (!new NodeCertificate(certificate).checkPrivateKey(key)) {
    throw new Error('the key is not the one of the certificate');
  }
  const pkcs8 = key.export({ format: 'der', type: 'pkcs8' });
  return {
    certificate: parseCertificate(certificate),
    key: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithmOf(key), false, ['sign']),
  };
}

const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384' };

function algorithmOf(key: KeyObject): { name: string; hash: string; namedCurve?: string } {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const namedCurve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (namedCurve === undefined) throw new Error('the key is neither RSA nor P-256 nor P-384');
  return { name: 'ECDSA', namedCurve, hash: 'SHA-256' };
}

/** 126 random bits, positive, and always of the same length */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** The issuer's own identifier, or the usual hash of its key when it has none. */
function keyIdentifierOf(issuer: X509Certificate): string {
  const extension = issuer.getExtension(SubjectKeyIdentifierExtension);
  if (extension) return extension.keyId;
  return createHash('sha1').update(Buffer.from(issuer.publicKey.rawData)).digest('hex');
}
