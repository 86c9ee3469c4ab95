/**
 * envoy.extensions.transport_sockets.tls.v3.Secret ↔ Secret.
 */
import type { Secret } from '../../model/secret.ts';
import type { WireDataSource } from '../codec-envoy.ts';
import type { Codec } from '../codec.ts';
import type { Decoded } from './decoded.ts';
import { decodeResource, type Reading } from './reading.ts';
import { dataFromWire } from './scalars.ts';

export function encodeSecret({ envoy }: Codec, secret: Secret): Uint8Array {
  const { name } = secret;
  if (secret.type === 'certificate') {
    const certificate_chain = { inline_bytes: Buffer.from(secret.chain) };
    const private_key = { inline_bytes: Buffer.from(secret.key) };
    return envoy.secret.encode({ name, tls_certificate: { certificate_chain, private_key } });
  }
  const trusted_ca = { inline_bytes: Buffer.from(secret.roots) };
  const crl = secret.crl === '' ? null : { inline_bytes: Buffer.from(secret.crl) };
  return envoy.secret.encode({ name, validation_context: { trusted_ca, crl } });
}

/** What the roots are for (names, chains not to check) belongs to the TLS context that uses them. */
export function decodeSecret({ envoy }: Codec, bytes: Uint8Array): Decoded<Secret> {
  return decodeResource(envoy, envoy.secret, bytes, (wire, reading): Secret => {
    const { name, tls_certificate, validation_context } = wire;
    if (name === '') reading.error('name', 'is missing');
    if (tls_certificate) {
      const { certificate_chain, private_key } = tls_certificate;
      return {
        type: 'certificate',
        name,
        chain: text(certificate_chain, 'tls_certificate.certificate_chain', reading),
        key: text(private_key, 'tls_certificate.private_key', reading),
      };
    }
    if (!validation_context) reading.error('type', 'neither a certificate nor roots');
    const restricted =
      validation_context &&
      (validation_context.match_typed_subject_alt_names.length > 0 ||
        validation_context.match_subject_alt_names.length > 0);
    if (restricted) {
      reading.error('validation_context.match_typed_subject_alt_names', 'is not supported here');
    }
    return {
      type: 'roots',
      name,
      roots: text(validation_context?.trusted_ca ?? null, 'validation_context.trusted_ca', reading),
      crl: validation_context?.crl
        ? text(validation_context.crl, 'validation_context.crl', reading)
        : '',
    };
  });
}

function text(source: WireDataSource | null, path: string, { error }: Reading): string {
  const data = dataFromWire(source);
  if (data === undefined) error(path, 'is missing or not inline');
  return data?.toString('utf8') ?? '';
}
