/**
 * Namespace, ServiceAccount and Secret: what other resources refer to.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
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
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/;

export function readNamespace(root: Fields, file: string): NamespaceResource | undefined {
  const metadata = readMetadata(root, 'Namespace', file);
  return metadata && { ...metadata.meta, kind: 'Namespace' };
}

export function readServiceAccount(root: Fields, file: string): ServiceAccountResource | undefined {
  const metadata = readMetadata(root, 'ServiceAccount', file);
  return metadata && { ...metadata.meta, kind: 'ServiceAccount' };
}

/**
 * A Secret without certificates is read too: who names it is told.  The values never appear in a message, and `data` is not
 * read by Fields, which would show what it is when it is no mapping.
 */
export function readSecret(root: Fields, file: string): SecretResource | undefined {
  const metadata = readMetadata(root, 'Secret', file);
  if (metadata === undefined) return undefined;
  const type = root.string('type') ?? 'Opaque';
  const isTls = type === 'kubernetes.io/tls';
  const empty = { certificate: undefined, privateKey: undefined, caCertificates: undefined };
  if (!isTls && type !== 'Opaque') {
    return { ...metadata.meta, kind: 'Secret', ...empty, problem: `is of type ${type}` };
  }
  const certificate = readPem(root, CERTIFICATE_KEYS);
  const privateKey = readPem(root, PRIVATE_KEY_KEYS);
  const caCertificates = readPem(root, CA_KEYS);
  const missing = isTls ? 'holds no certificate and key in PEM' : undefined;
  const broken = {
    pair: certificate && privateKey ? pairProblem(certificate, privateKey) : missing,
    roots: caCertificates === undefined ? undefined : chainProblem(caCertificates),
  };
  const problem = broken.pair ?? (broken.roots && `ca.crt ${broken.roots}`);
  if (problem !== undefined) {
    const fix = 'set data["tls.crt"] and data["tls.key"] to a certificate and its own key, in PEM';
    root.report({ code: 'SECRET_INVALID', key: 'data', message: problem, fix });
  }
  return {
    ...metadata.meta,
    kind: 'Secret',
    certificate: broken.pair === undefined ? certificate : undefined,
    privateKey: broken.pair === undefined ? privateKey : undefined,
    caCertificates: broken.roots === undefined ? caCertificates : undefined,
    ...(problem !== undefined && { problem }),
  };
}

function readPem(root: Fields, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const encoded = valueOf(root.raw('data'), key);
    const plain = valueOf(root.raw('stringData'), key);
    const text = plain ?? Buffer.from(encoded ?? '', 'base64').toString('utf8');
    if (PEM.test(text)) return text;
  }
  return undefined;
}

function valueOf(values: unknown, key: string): string | undefined {
  if (typeof values !== 'object' || values === null || !Object.hasOwn(values, key))
    return undefined;
  const value = (values as Record<string, unknown>)[key];
  return typeof value === 'string' ? value : undefined;
}

/** What a server of TLS would refuse.  OpenSSL's own words are left out: nobody vouches for what they repeat. */
function pairProblem(chain: string, key: string): string | undefined {
  const broken = chainProblem(chain);
  if (broken !== undefined) return `tls.crt ${broken}`;
  try {
    const leaf = new X509Certificate(chain.match(CERTIFICATE)![0]);
    if (leaf.checkPrivateKey(createPrivateKey(key))) return undefined;
  } catch {
    return 'tls.key holds no key that can be read';
  }
  return 'tls.key is not the key of tls.crt';
}

function chainProblem(pem: string): string | undefined {
  const blocks = pem.match(new RegExp(CERTIFICATE, 'g')) ?? [];
  if (blocks.length === 0) return 'holds no certificate';
  for (const [index, block] of blocks.entries()) {
    try {
      new X509Certificate(block);
    } catch {
      return `holds no certificate that can be read (block ${index + 1})`;
    }
  }
  return undefined;
}
