/**
 * Namespace, ServiceAccount and Secret: what other resources refer to.
 */
import type {
  NamespaceResource,
  SecretResource,
  ServiceAccountResource,
} from '../../model/resource/core.ts';
import type { Fields } from './fields.ts';
import { readMetadata } from './metadata.ts';

/** In the order Istio looks for them: kubernetes.io/tls, then generic. */
const CERTIFICATE_KEYS = ['tls.crt', 'cert'];
const PRIVATE_KEY_KEYS = ['tls.key', 'key'];
const CA_KEYS = ['ca.crt', 'cacert'];
const PEM = /-----BEGIN [A-Z ]+-----/;

export function readNamespace(root: Fields, file: string): NamespaceResource | undefined {
  const metadata = readMetadata(root, 'Namespace', file);
  return metadata && { ...metadata.meta, kind: 'Namespace' };
}

export function readServiceAccount(root: Fields, file: string): ServiceAccountResource | undefined {
  const metadata = readMetadata(root, 'ServiceAccount', file);
  return metadata && { ...metadata.meta, kind: 'ServiceAccount' };
}

/** undefined, in silence, when it holds no certificates: most Secrets are none of the mesh's business. */
export function readSecret(root: Fields, file: string): SecretResource | undefined {
  const type = root.string('type') ?? 'Opaque';
  if (type !== 'kubernetes.io/tls' && type !== 'Opaque') return undefined;
  const certificate = readPem(root, CERTIFICATE_KEYS);
  const privateKey = readPem(root, PRIVATE_KEY_KEYS);
  const caCertificates = readPem(root, CA_KEYS);
  if ((certificate === undefined || privateKey === undefined) && caCertificates === undefined) {
    if (type === 'kubernetes.io/tls') reportIncomplete(root);
    return undefined;
  }
  const metadata = readMetadata(root, 'Secret', file);
  return metadata && { ...metadata.meta, kind: 'Secret', certificate, privateKey, caCertificates };
}

/** The values never appear in a message. */
function readPem(root: Fields, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const encoded = root.mapping('data').raw(key);
    const plain = root.mapping('stringData').raw(key);
    const text =
      typeof plain === 'string'
        ? plain
        : typeof encoded === 'string'
          ? Buffer.from(encoded, 'base64').toString('utf8')
          : '';
    if (PEM.test(text)) return text;
  }
  return undefined;
}

function reportIncomplete(root: Fields): void {
  root.report({
    code: 'FIELD_MISSING',
    key: 'data',
    message: 'holds no certificate and key in PEM',
    fix: 'set data["tls.crt"] and data["tls.key"]',
  });
}
