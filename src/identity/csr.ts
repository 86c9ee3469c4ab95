/**
 * Certificate signing requests (PKCS #10, RFC 2986) for P-256 keys: no subject, and at most one URI as alternative name.
 *
 * The shape is fixed, so a writer of DER is enough; X.509 libraries cost an agent 0.5 s and 20 MiB.  CAs of a mesh use
 * the public key and look at the caller for the rest; the name is for those that insist on one (Vault).
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writePem } from './pem.ts';

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;
const SET = 0x31;
/** [0] of CertificationRequestInfo, constructed */
const ATTRIBUTES = 0xa0;
/** [6] uniformResourceIdentifier of GeneralName */
const URI = 0x86;

const VERSION_1 = der(INTEGER, Buffer.from([0]));
const CRITICAL = Buffer.from([0x01, 0x01, 0xff]);
/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = oid('2a8648ce3d040302');
/** 1.2.840.113549.1.9.14 */
const EXTENSION_REQUEST = oid('2a864886f70d01090e');
/** 2.5.29.17 */
const SUBJECT_ALTERNATIVE_NAME = oid('551d11');

export function newP256Key(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** PEM; `uri`: ASCII. Throws RangeError for another key than a private one of P-256. */
export function createCsr(key: KeyObject, uri?: string): string {
  if (key.type !== 'private' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new RangeError('the key is not a private one of P-256');
  }
  const info = der(
    SEQUENCE,
    VERSION_1,
    der(SEQUENCE), // subject: no names
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    der(ATTRIBUTES, ...(uri === undefined ? [] : [nameAttribute(uri)])),
  );
  // no bits are unused in the last byte
  const signature = der(BIT_STRING, Buffer.from([0]), sign('sha256', info, key));
  const request = der(SEQUENCE, info, der(SEQUENCE, ECDSA_WITH_SHA256), signature);
  return writePem('CERTIFICATE REQUEST', request);
}

/** RFC 5280 4.2.1.6: critical, as there is no subject. */
function nameAttribute(uri: string): Buffer {
  const names = der(SEQUENCE, der(URI, Buffer.from(uri, 'latin1')));
  const extension = der(SEQUENCE, SUBJECT_ALTERNATIVE_NAME, CRITICAL, der(OCTET_STRING, names));
  return der(SEQUENCE, EXTENSION_REQUEST, der(SET, der(SEQUENCE, extension)));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
  const head = Buffer.alloc(2 + bytes);
  head[0] = tag;
  head[1] = 0x80 | bytes;
  head.writeUIntBE(length, 2, bytes);
  return Buffer.concat([head, content]);
}

function oid(hex: string): Buffer {
  return der(OBJECT_IDENTIFIER, Buffer.from(hex, 'hex'));
}
