/**
 * envoy.extensions.transport_sockets.tls.v3 contexts ↔ TlsParameters.  Certificates and roots are Secrets by name; what
 * is inline or in a file refuses the resource.
 */
import type { CertificateValidation, TlsParameters, TlsVersion } from '../../model/cluster.ts';
import { parseIp } from '../../model/ip.ts';
import type { StringMatcher } from '../../model/matcher.ts';
import type {
  WireCertificateValidationContext,
  WireCertificateValidationContextInput,
  WireCommonTlsContext,
  WireCommonTlsContextInput,
  WireSdsSecretConfig,
  WireSdsSecretConfigInput,
} from '../codec-envoy.ts';
import { stringFromWire, stringToWire } from './matcher.ts';
import type { Reading } from './reading.ts';
import { FROM_ADS } from './scalars.ts';

/** istiod's name for the roots of the system */
const SYSTEM_ROOTS = 'file-root:system';
/**
 * Where distributions keep them.  The first is what is written: Envoy has system_root_certs in its API and takes it for no
 * roots at all.
 */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
] as const;
const VERSIONS: Readonly<Record<string, TlsVersion | undefined>> = {
  // Below 1.2 nobody is let in: what is offered is less, never more.
  TLSv1_0: 'TLSv1_2',
  TLSv1_1: 'TLSv1_2',
  TLSv1_2: 'TLSv1_2',
  TLSv1_3: 'TLSv1_3',
};

export function tlsToWire(tls: TlsParameters): WireCommonTlsContextInput {
  const { minVersion, maxVersion, cipherSuites, validation } = tls;
  const limited = minVersion !== undefined || maxVersion !== undefined || cipherSuites.length > 0;
  return {
    tls_params: limited
      ? {
          tls_minimum_protocol_version: minVersion ?? 'TLS_AUTO',
          tls_maximum_protocol_version: maxVersion ?? 'TLS_AUTO',
          cipher_suites: [...cipherSuites],
        }
      : null,
    tls_certificate_sds_secret_configs: tls.certificates.map(secretToWire),
    ...(validation ? validationToWire(validation) : {}),
    alpn_protocols: [...tls.alpn],
  };
}

export function tlsFromWire(
  wire: WireCommonTlsContext | null,
  path: string,
  reading: Reading,
): TlsParameters {
  const at = `${path}.common_tls_context`;
  const params = wire?.tls_params;
  const version = (value: string, field: string): TlsVersion | undefined => {
    const found = VERSIONS[value];
    if (found === undefined && value !== 'TLS_AUTO') {
      reading.error(`${at}.tls_params.${field}`, `${value} is not known`);
    }
    return found;
  };
  const max = params?.tls_maximum_protocol_version ?? 'TLS_AUTO';
  if (max === 'TLSv1_0' || max === 'TLSv1_1') {
    reading.error(`${at}.tls_params.tls_maximum_protocol_version`, `${max} is not supported`);
  }
  return {
    certificates: (wire?.tls_certificate_sds_secret_configs ?? []).map((secret, index) =>
      secretFromWire(secret, `${at}.tls_certificate_sds_secret_configs[${index}]`, reading),
    ),
    validation: wire ? validationFromWire(wire, at, reading) : undefined,
    alpn: wire?.alpn_protocols ?? [],
    minVersion: version(
      params?.tls_minimum_protocol_version ?? 'TLS_AUTO',
      'tls_minimum_protocol_version',
    ),
    maxVersion: version(max, 'tls_maximum_protocol_version'),
    cipherSuites: params?.cipher_suites ?? [],
  };
}

function validationToWire(validation: CertificateValidation): WireCommonTlsContextInput {
  const { roots, subjectAltNames, insecure } = validation;
  const context: WireCertificateValidationContextInput = {
    match_typed_subject_alt_names: subjectAltNames.map((matcher) => ({
      san_type: sanType(matcher),
      matcher: stringToWire(matcher),
    })),
    trust_chain_verification: insecure ? 'ACCEPT_UNTRUSTED' : 'VERIFY_TRUST_CHAIN',
    trusted_ca: roots === undefined && !insecure ? { filename: SYSTEM_BUNDLES[0] } : null,
  };
  if (roots === undefined) return { validation_context: context };
  return {
    combined_validation_context: {
      default_validation_context: context,
      validation_context_sds_secret_config: secretToWire(roots),
    },
  };
}

function validationFromWire(
  wire: WireCommonTlsContext,
  path: string,
  reading: Reading,
): CertificateValidation | undefined {
  const { validation_context, validation_context_sds_secret_config } = wire;
  const combined = wire.combined_validation_context;
  const context = combined?.default_validation_context ?? validation_context;
  const secret =
    combined?.validation_context_sds_secret_config ?? validation_context_sds_secret_config;
  if (!context && !secret) return undefined;
  const at = `${path}.${wire.validation_context_type}`;
  const bundle = context?.trusted_ca?.filename;
  const isSystem =
    (context?.system_root_certs ?? null) !== null || SYSTEM_BUNDLES.some((file) => file === bundle);
  if (context?.trusted_ca && !isSystem) {
    reading.error(`${at}.trusted_ca`, 'is neither a secret by name nor the roots of the system');
  }
  if (context?.crl) reading.error(`${at}.crl`, 'is not supported here; put it in the secret');
  const roots = secret ? secretFromWire(secret, at, reading) : undefined;
  const hasRoots = roots !== undefined || isSystem;
  const verification = context?.trust_chain_verification ?? 'VERIFY_TRUST_CHAIN';
  if (!['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED'].includes(verification)) {
    reading.error(`${at}.trust_chain_verification`, `${String(verification)} is not known`);
  }
  return {
    roots: roots === SYSTEM_ROOTS ? undefined : roots,
    subjectAltNames: context ? namesFromWire(context, at, reading) : [],
    // Envoy checks no chain either when it has no roots.
    insecure: verification === 'ACCEPT_UNTRUSTED' || !hasRoots,
  };
}

function namesFromWire(
  context: WireCertificateValidationContext,
  path: string,
  reading: Reading,
): StringMatcher[] {
  const typed = context.match_typed_subject_alt_names.flatMap(({ san_type, matcher }, index) => {
    const at = `${path}.match_typed_subject_alt_names[${index}]`;
    if (!['DNS', 'URI', 'IP_ADDRESS'].includes(san_type)) {
      reading.error(`${at}.san_type`, `${String(san_type)} is not supported`);
    }
    return stringFromWire(matcher, `${at}.matcher`, reading);
  });
  const untyped = context.match_subject_alt_names.flatMap((matcher, index) =>
    stringFromWire(matcher, `${path}.match_subject_alt_names[${index}]`, reading),
  );
  return [...typed, ...untyped];
}

function sanType({ value }: StringMatcher): 'URI' | 'IP_ADDRESS' | 'DNS' {
  if (value.includes('://')) return 'URI';
  return parseIp(value) === undefined ? 'DNS' : 'IP_ADDRESS';
}

function secretToWire(name: string): WireSdsSecretConfigInput {
  return { name, sds_config: FROM_ADS };
}

function secretFromWire(wire: WireSdsSecretConfig, path: string, { error }: Reading): string {
  if (wire.name === '') error(`${path}.name`, 'is missing');
  return wire.name;
}
