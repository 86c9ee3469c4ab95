/**
 * Certificate signing requests (PKCS #10, RFC 2986): of what a caller sends, only its public key is used.
 *
 * Subject, attributes and extensions are never read, so nothing in them can end up in a certificate.  The signature must
 * be right: it proves that the caller holds the key.
 *
 * Keys: P-256, as ztunnel and podwire make them, and RSA of 2048 to 4096 bits, which Istio's sidecars make by default.  Other
 * curves are refused, because the mesh's TLS profile has no signature algorithm for them.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { readPem } from '../../identity/pem.ts';
import { Pkcs10CertificateRequest } from '../../identity/x509.ts';

/** The message is safe to send to the caller. */
export class CertificateRequestError extends Error {
  override readonly name = 'CertificateRequestError';
}

/** 4096-bit RSA with a dozen names is below 4 KiB. */
export const MAX_REQUEST_CHARACTERS = 16 * 1024;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 4096;
/** F4, which every library uses; large exponents only make verifying slow */
const RSA_EXPONENT = 65_537n;
const LABELS = new Set(['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
const HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
const SIGNATURES: Readonly<Record<string, string>> = { ec: 'ECDSA', rsa: 'RSASSA-PKCS1-v1_5' };
const PARSE_LIMITS = { maxDepth: 32, maxNodes: 2_000, maxContentLength: MAX_REQUEST_CHARACTERS };

/** The key, with its encoding made anew. Throws CertificateRequestError. */
export async function readCertificateRequest(pem: string): Promise<KeyObject> {
  const request = parse(pem);
  try {
    const key = acceptedKey(Buffer.from(request.publicKey.rawData));
    checkSignatureAlgorithm(key, request.signatureAlgorithm);
    if (await request.verify()) return key;
  } catch (error) {
    if (error instanceof CertificateRequestError) throw error;
    throw new CertificateRequestError('the request cannot be checked', { cause: error });
  }
  throw new CertificateRequestError('the signature is wrong');
}

function parse(pem: string): Pkcs10CertificateRequest {
  if (pem.length > MAX_REQUEST_CHARACTERS) {
    throw new CertificateRequestError(
      `the request has more than ${MAX_REQUEST_CHARACTERS} characters`,
    );
  }
  const blocks = readPem(pem);
  const [block] = blocks ?? [];
  if (!block || blocks?.length !== 1 || !LABELS.has(block.label)) {
    throw new CertificateRequestError('not one PEM block CERTIFICATE REQUEST');
  }
  if (!isWholeSequence(block.der)) {
    throw new CertificateRequestError('not one PKCS #10 request and nothing else');
  }
  try {
    return new Pkcs10CertificateRequest(new Uint8Array(block.der), { berOptions: PARSE_LIMITS });
  } catch (cause) {
    throw new CertificateRequestError('not a PKCS #10 request', { cause });
  }
}

/** DER of one SEQUENCE from the first byte to the last: the library reads on where lengths disagree. */
function isWholeSequence(der: Buffer): boolean {
  const [tag, first = 0] = der;
  if (tag !== 0x30) return false;
  if (first < 0x80) return der.length === 2 + first;
  const bytes = first - 0x80;
  if (bytes < 1 || bytes > 3 || der.length < 2 + bytes) return false;
  return der.length === 2 + bytes + der.readUIntBE(2, bytes);
}

function acceptedKey(spki: Buffer): KeyObject {
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const details = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ec':
      // a curve spelt out in parameters has no name
      if (details.namedCurve !== 'prime256v1') {
        throw new CertificateRequestError('the curve is not P-256');
      }
      break;
    case 'rsa': {
      const bits = details.modulusLength ?? 0;
      if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || details.publicExponent !== RSA_EXPONENT) {
        throw new CertificateRequestError(
          `RSA keys must have ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits and the exponent ${RSA_EXPONENT}`,
        );
      }
      break;
    }
    default:
      throw new CertificateRequestError('the key is neither P-256 nor RSA');
  }
  // Through JWK: parameters and point format as every verifier reads them, whatever the request had.
  const jwk = key.export({ format: 'jwk' }) as JsonWebKey;
  return createPublicKey({ key: jwk, format: 'jwk' });
}

function checkSignatureAlgorithm(key: KeyObject, algorithm: object): void {
  const { name, hash } = algorithm as { name?: string; hash?: { name?: string } };
  if (name !== SIGNATURES[key.asymmetricKeyType ?? ''] || !HASHES.has(hash?.name ?? '')) {
    throw new CertificateRequestError('the signature algorithm is not accepted');
  }
}
