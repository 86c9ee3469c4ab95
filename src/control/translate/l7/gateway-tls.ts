/**
 * tls of a server of an Istio Gateway, with the Secrets behind it.
 *
 * As in Istio a Secret is looked for where the gateway's pods are, and nowhere else: whoever may write a Gateway must not
 * come by the certificates of a namespace that is not his.
 */
import type { DownstreamTls } from '../../../model/listener.ts';
import type { Finding } from '../../../model/finding.ts';
import type { GatewayResource, ServerSpec } from '../../../model/resource/gateway.ts';
import type { Catalog } from './catalog.ts';
import { notSupported } from './findings.ts';
import { downstreamTls } from './gateway-server.ts';
import type { Compile } from './graph.ts';
import { secretFinding, secretProblems, secretUnits } from './secrets.ts';

export interface ServerTls {
  /** undefined: without its Secrets it cannot be served */
  readonly tls: DownstreamTls | undefined;
  readonly needs: readonly [string, Compile][];
  readonly findings: readonly Finding[];
}

/** `home`: namespace of the gateway's pods */
export function serverTls(
  catalog: Catalog,
  gateway: GatewayResource,
  {
    server,
    index,
    http,
  }: { readonly server: ServerSpec; readonly index: number; readonly http: boolean },
  home: string,
): ServerTls {
  const { tls: spec = {} } = server;
  const path = `spec.servers[${index}].tls.credentialName`;
  const files = fileFindings(gateway, server, index);
  const built = downstreamTls(spec, home, http);
  const problems = secretProblems(catalog, built);
  return {
    // The other servers of the port go on, which an Envoy without the Secret would keep waiting.
    tls: problems.some(({ missing }) => missing) ? undefined : built,
    // Named all the same: it is read as long as somebody asks for it.
    needs: secretUnits(catalog, built),
    findings: [...files, ...problems.map((problem) => secretFinding(gateway, path, problem))],
  };
}

/** As in DestinationRules: there is no proxy whose files could be meant. */
function fileFindings(gateway: GatewayResource, { tls }: ServerSpec, index: number): Finding[] {
  if (tls === undefined || tls.credentialName) return [];
  const fields = ['serverCertificate', 'privateKey', 'caCertificates'] as const;
  return fields.flatMap((field) => {
    if (!tls[field]) return [];
    const path = `spec.servers[${index}].tls.${field}`;
    return [notSupported(gateway, path, 'a file of a gateway', 'use credentialName')];
  });
}
