/**
 * Secrets that gateways and TLS origination name → certificates and roots.  Only what somebody needs is sent.
 */
import type { Catalog } from './catalog.ts';
import { EMPTY_PRODUCT, type Compile, type Product } from './graph.ts';
import { secretMessage } from './message.ts';

const SCHEME = 'kubernetes://';
/** of roots; Istio's own Secret name too, where they are in a Secret of their own */
const ROOTS = '-cacert';

/** The units behind names of Secrets; names of other kinds (`default`, `ROOTCA`, files) have none. */
export function secretUnits(
  catalog: Catalog,
  tls:
    | {
        readonly certificates: readonly string[];
        readonly validation: { readonly roots: string | undefined } | undefined;
      }
    | undefined,
): [string, Compile][] {
  const names = [...(tls?.certificates ?? []), tls?.validation?.roots ?? ''];
  return names.flatMap((name): [string, Compile][] =>
    name.startsWith(SCHEME) ? [[`secret ${name}`, () => compileSecret(catalog, name)]] : [],
  );
}

function compileSecret(catalog: Catalog, name: string): Product {
  const message = name.endsWith(ROOTS) ? rootsOf(catalog, name) : certificateOf(catalog, name);
  return message === undefined ? EMPTY_PRODUCT : { ...EMPTY_PRODUCT, messages: [message] };
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
  const roots = own?.caCertificates ?? own?.certificate ?? beside?.caCertificates;
  return roots === undefined ? undefined : secretMessage({ type: 'roots', name, roots, crl: '' });
}
