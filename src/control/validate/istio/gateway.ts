/**
 * Gateway (Istio): what its schema does not say.
 */
import type {
  GatewaySpec,
  ServerSpec,
  ServerTlsSettings,
} from '../../../model/resource/gateway.ts';
import { parseIp, parsePrefix } from '../../../model/ip.ts';
import { describe } from '../fields.ts';
import { isHostOrWildcard } from '../host.ts';
import type { SpecReport } from '../spec-report.ts';
import { isProtocol } from './protocol.ts';

const TLS_PROTOCOLS = ['HTTPS', 'TLS'];
const VERSIONS = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'];

export function checkGateway({ servers = [] }: GatewaySpec, report: SpecReport): void {
  if (servers.length === 0) report.missing('spec.servers');
  report.unique(
    servers.map(({ port }) => port.name),
    (index) => `spec.servers[${index}].port.name`,
  );
  servers.forEach((server, index) => checkServer(server, `spec.servers[${index}]`, report));
}

function checkServer(
  { port, hosts, bind, tls }: ServerSpec,
  path: string,
  report: SpecReport,
): void {
  report.port(`${path}.port.number`, port.number);
  if (!isProtocol(port.protocol)) {
    const message = `${describe(port.protocol)} is no protocol`;
    report.invalid(`${path}.port.protocol`, message, 'use HTTP, HTTPS, HTTP2, GRPC, TCP or TLS');
  }
  if (hosts.length === 0) report.missing(`${path}.hosts`);
  hosts.forEach((host, index) => {
    const slash = host.indexOf('/');
    const name = slash < 0 ? host : host.slice(slash + 1);
    if (isHostOrWildcard(name) || parsePrefix(name) !== undefined) return;
    const fix = 'use a name, "*." and a name, with NAMESPACE/ or ./ before it';
    report.invalid(`${path}.hosts[${index}]`, `${describe(host)} is no host name`, fix);
  });
  if (
    bind !== undefined &&
    bind !== '' &&
    parseIp(bind) === undefined &&
    !bind.startsWith('unix:')
  ) {
    report.invalid(`${path}.bind`, `${describe(bind)} is no address`, 'use an IP address');
  }
  checkTls(port.protocol.toUpperCase(), tls, `${path}.tls`, report);
}

function checkTls(
  protocol: string,
  tls: ServerTlsSettings | undefined,
  path: string,
  report: SpecReport,
): void {
  if (tls === undefined) {
    if (TLS_PROTOCOLS.includes(protocol)) report.missing(path);
    return;
  }
  const { mode = 'PASSTHROUGH', minProtocolVersion, maxProtocolVersion, credentialName } = tls;
  const plain = ['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB'].includes(protocol);
  if (!TLS_PROTOCOLS.includes(protocol) && (!plain || tls.httpsRedirect !== true)) {
    report.invalid(path, `is of no use on a port of ${protocol}`, 'use protocol HTTPS or TLS');
    return;
  }
  if (plain) return;
  if (tls.httpsRedirect === true) {
    const message = 'is for plain HTTP servers';
    report.warn(
      'FIELD_UNUSED',
      `${path}.httpsRedirect`,
      message,
      'set it on the server of port 80',
    );
  }
  const own = credentialName ?? (tls.serverCertificate && tls.privateKey);
  if (['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL'].includes(mode) && !own) {
    const fix = 'set credentialName, or serverCertificate and privateKey';
    report.error('FIELD_MISSING', `${path}.credentialName`, `${mode} needs a certificate`, fix);
  }
  if (mode === 'MUTUAL' && !credentialName && !tls.caCertificates) {
    report.missing(`${path}.caCertificates`);
  }
  if (mode === 'ISTIO_MUTUAL' && own) {
    const message = 'ISTIO_MUTUAL uses the certificates of the mesh';
    report.invalid(path, message, 'remove the certificates, or use MUTUAL');
  }
  if (
    minProtocolVersion &&
    maxProtocolVersion &&
    maxProtocolVersion !== 'TLS_AUTO' &&
    VERSIONS.indexOf(minProtocolVersion) > VERSIONS.indexOf(maxProtocolVersion)
  ) {
    const message = `${minProtocolVersion} is above ${maxProtocolVersion}`;
    report.invalid(`${path}.minProtocolVersion`, message, 'lower it');
  }
}
