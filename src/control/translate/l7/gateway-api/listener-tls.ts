/**
 * tls of a Gateway's listener: its certificates, and the roots its clients are verified with.
 */
import type { DownstreamTls } from '../../../../model/listener.ts';
import type {
  GatewayApiGatewayResource,
  GatewayApiListener,
  ObjectReference,
} from '../../../../model/resource/gateway-api.ts';
import { isPermitted, reportNotPermitted } from './grants.ts';
import type { ApiReport } from './report.ts';
import type { ApiView } from './view.ts';

/** undefined: it cannot be served, which is reported */
export function listenerTls(
  gateway: GatewayApiGatewayResource,
  { tls, protocol }: GatewayApiListener,
  path: string,
  view: ApiView,
  report: ApiReport,
): DownstreamTls | undefined {
  const find = (refs: readonly ObjectReference[] | undefined, field: string, isRoots: boolean) =>
    (refs ?? []).flatMap((ref, index) => {
      const at = `${path}.tls.${field}[${index}]`;
      return secretName(gateway, ref, at, isRoots, view, report) ?? [];
    });
  const certificates = find(tls?.certificateRefs, 'certificateRefs', false);
  if ((tls?.certificateRefs ?? []).length === 0) {
    const message = 'names no certificate';
    const at = `${path}.tls.certificateRefs`;
    report.reference('InvalidCertificateRef', 'SECRET_UNKNOWN', at, message, 'name a Secret');
  }
  for (const option of Object.keys(tls?.options ?? {})) {
    const fix = 'remove it: TLS 1.2 and 1.3 are served';
    report.warn('NOT_SUPPORTED', `${path}.tls.options`, `podwire has no option ${option}`, fix);
  }
  if (certificates.length === 0) return undefined;
  const wanted = tls?.frontendValidation?.caCertificateRefs ?? [];
  const roots = find(wanted, 'frontendValidation.caCertificateRefs', true);
  if (roots.length > 1) {
    const at = `${path}.tls.frontendValidation.caCertificateRefs`;
    report.warn('NOT_SUPPORTED', at, 'only the first is used', 'put all roots into one Secret');
  }
  // Open to everybody is the one thing it must not become.
  if (tls?.frontendValidation !== undefined && roots.length === 0) return undefined;
  return {
    certificates,
    validation:
      roots[0] === undefined
        ? undefined
        : { roots: roots[0], subjectAltNames: [], insecure: false },
    alpn: protocol === 'HTTPS' ? ['h2', 'http/1.1'] : [],
    minVersion: 'TLSv1_2',
    maxVersion: undefined,
    cipherSuites: [],
    requireClientCertificate: roots[0] !== undefined,
  };
}

/** Its name as an xDS resource. */
function secretName(
  gateway: GatewayApiGatewayResource,
  ref: ObjectReference,
  path: string,
  isRoots: boolean,
  view: ApiView,
  report: ApiReport,
): string | undefined {
  const { group, kind, name, namespace = gateway.namespace } = ref;
  if (group !== '' || kind !== 'Secret') {
    const message = `podwire reads no ${kind} here`;
    const fix = isRoots ? 'use a Secret with the key ca.crt' : 'use a Secret';
    report.reference('InvalidCertificateRef', 'NOT_SUPPORTED', path, message, fix);
    return undefined;
  }
  if (!isPermitted(gateway, ref, view)) {
    reportNotPermitted(gateway, ref, path, report);
    return undefined;
  }
  const secret = view.secret(namespace, name);
  const usable = isRoots
    ? secret?.caCertificates !== undefined
    : secret?.certificate !== undefined && secret.privateKey !== undefined;
  if (usable) return `kubernetes://${namespace}/${name}${isRoots ? '-cacert' : ''}`;
  const lacks = isRoots ? 'ca.crt' : 'tls.crt and tls.key';
  const broken = secret?.problem === undefined ? ` has no ${lacks}` : `: ${secret.problem}`;
  const message =
    secret === undefined
      ? // It may be there: control need not have the right to read Secrets.
        `names the Secret ${namespace}/${name}, which control does not know`
      : `Secret ${namespace}/${name}${broken}`;
  const fix = 'add it, or correct the name';
  report.reference('InvalidCertificateRef', 'SECRET_UNKNOWN', path, message, fix);
  return undefined;
}
