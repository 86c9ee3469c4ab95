/**
 * Secrets that gateways and TLS origination name → certificates and roots.  Only what somebody needs is sent.
 */
import type { Finding, FindingCode } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import type { SecretResource } from '../../../model/resource/core.ts';
import type { Catalog } from './catalog.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import { secretMessage } from './message.ts';

const SCHEME = 'kubernetes://';
/** of roots; Istio's own Secret name too, where they are in a Secret of their own */
const ROOTS = '-cacert';

interface TlsNames {
  readonly certificates: readonly string[];
  readonly validation: { readonly roots: string | undefined } | undefined;
}

interface Problem {
  readonly code: FindingCode;
  readonly message: string;
  /** what is there cannot be used at all */
  readonly missing: boolean;
}

/** The units behind names of Secrets; names of other kinds (`default`, `ROOTCA`, files) have none. */
export function secretUnits(catalog: Catalog, tls: TlsNames | undefined): [string, Compile][] {
  return secretsOf(tls).map((name): [string, Compile] => [
    `secret ${name}`,
    () => compileSecret(catalog, name),
  ]);
}

/** What is wrong with the Secrets it names: missing, incomplete, or broken. */
export function secretProblems(catalog: Catalog, tls: TlsNames | undefined): readonly Problem[] {
  const all = secretsOf(tls).flatMap((name) => problemOf(catalog, name) ?? []);
  // The certificate and the roots of one Secret that is not there.
  return all.filter(
    ({ message }, index) => all.findIndex((one) => one.message === message) === index,
  );
}

export function secretFinding({ file, id }: Resource, path: string, problem: Problem): Finding {
  const { code, message } = problem;
  const fix = code === 'SECRET_INVALID' ? 'correct the Secret' : 'add it, or correct the name';
  return { code, severity: 'warning', file, resource: id, path, message, fix };
}

function secretsOf(tls: TlsNames | undefined): string[] {
  const names = [...(tls?.certificates ?? []), tls?.validation?.roots ?? ''];
  return names.filter((name) => name.startsWith(SCHEME));
}

function compileSecret(catalog: Catalog, name: string): Product {
  const message = isRoots(name) ? rootsOf(catalog, name) : certificateOf(catalog, name);
  return message === undefined ? EMPTY_PRODUCT : { ...EMPTY_PRODUCT, messages: [message] };
}

function problemOf(catalog: Catalog, name: string): Problem | undefined {
  const path = name.slice(SCHEME.length);
  const [secret] = catalog.read('Secret', path);
  if (!isRoots(name)) {
    const usable = secret?.certificate !== undefined && secret.privateKey !== undefined;
    return describe(secret, path, usable, 'tls.crt and tls.key');
  }
  const certificatePath = path.slice(0, -ROOTS.length);
  const [beside] = catalog.read('Secret', certificatePath);
  const usable = rootsIn(secret, beside) !== undefined;
  return secret === undefined
    ? describe(beside, certificatePath, usable, 'ca.crt')
    : describe(secret, path, usable, 'ca.crt');
}

function describe(
  secret: SecretResource | undefined,
  path: string,
  usable: boolean,
  wanted: string,
): Problem | undefined {
  if (secret === undefined) {
    const [namespace = '', ...name] = path.split('/');
    const message =
      name.length > 1
        ? `names the Secret ${name.join('/')}, which is not one of ${namespace}`
        : `names the Secret ${path}, which does not exist`;
    return { code: 'SECRET_UNKNOWN', message, missing: true };
  }
  if (secret.problem !== undefined) {
    const message = `Secret ${path}: ${secret.problem}`;
    return { code: 'SECRET_INVALID', message, missing: !usable };
  }
  if (usable) return undefined;
  return { code: 'SECRET_INVALID', message: `Secret ${path} has no ${wanted}`, missing: true };
}

function isRoots(name: string): boolean {
  return name.endsWith(ROOTS);
}

function certificateOf(catalog: Catalog, name: string) {
  const [secret] = catalog.read('Secret', name.slice(SCHEME.length));
  if (secret?.certificate === undefined || secret.privateKey === undefined) return undefined;
  const { certificate: chain, privateKey: key } = secret;
  return secretMessage({ type: 'certificate', name, chain, key });
}

/** In a Secret of that very name, or beside the certificate. */
function rootsOf(catalog: Catalog, name: string) {
  const path = name.slice(SCHEME.length);
  const [own] = catalog.read('Secret', path);
  const [beside] = catalog.read('Secret', path.slice(0, -ROOTS.length));
  const roots = rootsIn(own, beside);
  return roots === undefined ? undefined : secretMessage({ type: 'roots', name, roots, crl: '' });
}

function rootsIn(own: SecretResource | undefined, beside: SecretResource | undefined) {
  return own?.caCertificates ?? own?.certificate ?? beside?.caCertificates;
}
