/**
 * One server of an Istio Gateway: which hosts of which VirtualServices it takes, and how it speaks TLS.
 */
import type { TlsVersion } from '../../../model/cluster.ts';
import type { DownstreamTls } from '../../../model/listener.ts';
import type {
  GatewayResource,
  ServerSpec,
  ServerTlsSettings,
  TlsVersion as StatedVersion,
} from '../../../model/resource/gateway.ts';
import type { VirtualServiceResource } from '../../../model/resource/virtual-service.ts';
import { matchesPattern } from './catalog.ts';
import { secretName } from './traffic-policy.ts';

const HTTP_ALPN = ['h2', 'http/1.1'];

export type ServerKind = 'http' | 'https' | 'tls' | 'passthrough' | 'tcp';

/** `tls` ends TLS and forwards bytes; undefined: nothing podwire can serve */
export function serverKind({ port, tls }: ServerSpec): ServerKind | undefined {
  const mode = tls?.mode ?? 'PASSTHROUGH';
  if (mode === 'AUTO_PASSTHROUGH') return undefined;
  switch (port.protocol.toUpperCase()) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
    case 'GRPC-WEB':
      return 'http';
    case 'HTTPS':
      return mode === 'PASSTHROUGH' ? 'passthrough' : 'https';
    case 'TLS':
      return mode === 'PASSTHROUGH' ? 'passthrough' : 'tls';
    case 'TCP':
    case 'MONGO':
    case 'MYSQL':
    case 'REDIS':
      return tls === undefined || mode === 'PASSTHROUGH' ? 'tcp' : 'tls';
    default:
      return undefined;
  }
}

/** Host names without their namespaces. */
export function serverHosts({ hosts }: ServerSpec): string[] {
  return hosts.map((item) => item.slice(item.indexOf('/') + 1).toLowerCase());
}

/** The hosts a server and a VirtualService have in common, in their narrower form. */
export function commonHosts(
  server: ServerSpec,
  gateway: GatewayResource,
  service: VirtualServiceResource,
  fullHost: (host: string, namespace: string) => string,
): string[] {
  const own = (service.spec.hosts ?? []).map((host) => fullHost(host, service.namespace));
  const common = server.hosts.flatMap((item) => {
    const slash = item.indexOf('/');
    const where = slash < 0 ? '*' : item.slice(0, slash);
    const namespace = where === '.' ? gateway.namespace : where;
    if (namespace !== '*' && namespace !== service.namespace) return [];
    const pattern = item.slice(slash + 1).toLowerCase();
    return own.flatMap((host) => {
      if (matchesPattern(pattern, host)) return [host];
      return matchesPattern(host, pattern) ? [pattern] : [];
    });
  });
  return [...new Set(common)];
}

export function downstreamTls(
  tls: ServerTlsSettings,
  namespace: string,
  http: boolean,
): DownstreamTls {
  const mutual = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL';
  const mesh = tls.mode === 'ISTIO_MUTUAL';
  const names = tls.subjectAltNames ?? [];
  return {
    certificates: mesh ? ['default'] : certificatesOf(tls, namespace),
    validation:
      mutual || mesh
        ? {
            roots: mesh ? 'ROOTCA' : rootsOf(tls, namespace),
            subjectAltNames: names.map((value) => ({ type: 'exact', value, ignoreCase: false })),
            insecure: false,
          }
        : undefined,
    requireClientCertificate: tls.mode === 'MUTUAL' || mesh,
    alpn: http ? HTTP_ALPN : [],
    minVersion: versionOf(tls.minProtocolVersion),
    maxVersion: versionOf(tls.maxProtocolVersion),
    cipherSuites: tls.cipherSuites ?? [],
  };
}

function certificatesOf(tls: ServerTlsSettings, namespace: string): string[] {
  if (tls.credentialName) return [secretName(namespace, tls.credentialName)];
  return [`file-cert:${tls.serverCertificate ?? ''}~${tls.privateKey ?? ''}`];
}

function rootsOf(tls: ServerTlsSettings, namespace: string): string {
  if (tls.credentialName) return `${secretName(namespace, tls.credentialName)}-cacert`;
  return `file-root:${tls.caCertificates ?? ''}`;
}

/** Nothing below TLS 1.2 is spoken, whatever is asked for. */
function versionOf(version: StatedVersion | undefined): TlsVersion | undefined {
  switch (version) {
    case 'TLSV1_3':
      return 'TLSv1_3';
    case 'TLSV1_0':
    case 'TLSV1_1':
    case 'TLSV1_2':
      return 'TLSv1_2';
    default:
      return undefined;
  }
}
