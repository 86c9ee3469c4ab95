/**
 * What listeners ask of services outside their path: ext_authz providers and the keys that verify tokens.  Their clusters
 * are the caller's to make; here is what they lead to.
 *
 * They have names of their own, since a Service's cluster speaks what its port says and follows its DestinationRules, and a
 * rule that someone wrote for traffic must not decide how access is checked.
 */
import type { ExtAuthz, RbacRules } from '../../../../model/http-filter.ts';
import type { ExtAuthzProvider } from '../../../extension-provider.ts';

export interface ExtensionCluster {
  /** `extension|<port>|<protocol>|<host>`, with the namespace of a Service in front of the host when one is named */
  readonly name: string;
  readonly host: string;
  /** that has the Service; "": whoever has the host */
  readonly namespace: string;
  readonly port: number;
  /** http1 and http2 without TLS; https with, and the server's name is checked against the system's roots */
  readonly protocol: 'http1' | 'http2' | 'https';
}

export function extAuthzOf(
  provider: ExtAuthzProvider,
  when: RbacRules,
): { readonly extAuthz: ExtAuthz; readonly cluster: ExtensionCluster } {
  const { type: _type, name: _name, at, service, ...common } = provider;
  const cluster = extensionCluster({
    ...at,
    protocol: service.type === 'grpc' ? 'http2' : 'http1',
  });
  return { extAuthz: { ...common, service: { ...service, cluster: cluster.name }, when }, cluster };
}

/** Of a page on the web; undefined: it is none. */
export function pageCluster(uri: string): ExtensionCluster | undefined {
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined;
  const isTls = url.protocol === 'https:';
  return extensionCluster({
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    namespace: '',
    port: Number(url.port) || (isTls ? 443 : 80),
    protocol: isTls ? 'https' : 'http1',
  });
}

function extensionCluster(at: Omit<ExtensionCluster, 'name'>): ExtensionCluster {
  const { host, namespace, port, protocol } = at;
  const owner = namespace === '' ? '' : `${namespace}/`;
  return { ...at, name: `extension|${port}|${protocol}|${owner}${host}` };
}
