/**
 * DestinationRule: what its schema does not say.
 */
import type {
  ClientTlsSettings,
  ConnectionPoolSpec,
  DestinationRuleSpec,
  LoadBalancerSpec,
  LocalityLbSetting,
  OutlierDetectionSpec,
  PortTrafficPolicySpec,
  TrafficPolicySpec,
} from '../../../model/resource/destination-rule.ts';
import { describe } from '../fields.ts';
import { isHostOrWildcard } from '../host.ts';
import type { SpecReport } from '../spec-report.ts';

const SUBSET = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i;

export function checkDestinationRule(spec: DestinationRuleSpec, report: SpecReport): void {
  const { host, trafficPolicy, subsets = [] } = spec;
  if (!isHostOrWildcard(host)) {
    report.invalid('spec.host', `${describe(host)} is no host name`, 'name a service');
  }
  checkPolicy(trafficPolicy, 'spec.trafficPolicy', report);
  report.unique(
    subsets.map(({ name }) => name),
    (index) => `spec.subsets[${index}].name`,
  );
  subsets.forEach(({ name, trafficPolicy: policy }, index) => {
    const path = `spec.subsets[${index}]`;
    if (!SUBSET.test(name)) {
      const fix = 'use letters, digits and "-"';
      report.invalid(`${path}.name`, `${describe(name)} is no name of a subset`, fix);
    }
    checkPolicy(policy, `${path}.trafficPolicy`, report);
  });
}

function checkPolicy(
  policy: TrafficPolicySpec | undefined,
  path: string,
  report: SpecReport,
): void {
  if (policy === undefined) return;
  checkPortPolicy(policy, path, report);
  policy.portLevelSettings?.forEach((settings, index) => {
    const at = `${path}.portLevelSettings[${index}]`;
    if (settings.port?.number === undefined) report.missing(`${at}.port.number`);
    report.port(`${at}.port.number`, settings.port?.number);
    checkPortPolicy(settings, at, report);
  });
}

function checkPortPolicy(policy: PortTrafficPolicySpec, path: string, report: SpecReport): void {
  const { loadBalancer, connectionPool, outlierDetection, tls } = policy;
  if (loadBalancer) checkLoadBalancer(loadBalancer, `${path}.loadBalancer`, report);
  if (connectionPool) checkConnectionPool(connectionPool, `${path}.connectionPool`, report);
  if (outlierDetection) checkOutliers(outlierDetection, `${path}.outlierDetection`, report);
  if (tls) checkClientTls(tls, `${path}.tls`, report);
}

function checkLoadBalancer(spec: LoadBalancerSpec, path: string, report: SpecReport): void {
  const { consistentHash, localityLbSetting, warmup, warmupDurationSecs } = spec;
  report.duration(`${path}.warmup.duration`, warmup?.duration);
  report.duration(`${path}.warmupDurationSecs`, warmupDurationSecs);
  if (consistentHash?.httpCookie) {
    const { name, ttl } = consistentHash.httpCookie;
    if (name === '') report.missing(`${path}.consistentHash.httpCookie.name`);
    report.duration(`${path}.consistentHash.httpCookie.ttl`, ttl);
  }
  if (localityLbSetting) checkLocality(localityLbSetting, `${path}.localityLbSetting`, report);
}

function checkLocality(spec: LocalityLbSetting, path: string, report: SpecReport): void {
  const { distribute = [], failover = [], failoverPriority = [] } = spec;
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0) {
    report.invalid(`${path}.distribute`, 'excludes failover', 'use one of the two');
  }
  distribute.forEach(({ to = {} }, index) => {
    const sum = Object.values(to).reduce((total, share) => total + share, 0);
    if (sum === 100) return;
    const at = `${path}.distribute[${index}].to`;
    report.error('WEIGHTS_INVALID', at, `adds up to ${sum}, not to 100`, 'make it 100');
  });
  failover.forEach(({ from = '', to = '' }, index) => {
    const at = `${path}.failover[${index}]`;
    if (from === to) report.invalid(at, 'leads to where it comes from', 'name two regions');
    if (/[/*]/.test(from + to)) report.invalid(at, 'is for regions only', 'name regions alone');
  });
}

function checkConnectionPool(
  { tcp, http }: ConnectionPoolSpec,
  path: string,
  report: SpecReport,
): void {
  for (const field of ['connectTimeout', 'maxConnectionDuration', 'idleTimeout'] as const) {
    report.duration(`${path}.tcp.${field}`, tcp?.[field]);
  }
  report.duration(`${path}.tcp.tcpKeepalive.time`, tcp?.tcpKeepalive?.time);
  report.duration(`${path}.tcp.tcpKeepalive.interval`, tcp?.tcpKeepalive?.interval);
  report.duration(`${path}.http.idleTimeout`, http?.idleTimeout);
  const limits: Readonly<Record<string, unknown>> = { ...tcp, ...http };
  for (const [field, value] of Object.entries(limits)) {
    if (typeof value !== 'number' || value >= 0) continue;
    const part = tcp !== undefined && Object.hasOwn(tcp, field) ? 'tcp' : 'http';
    // -1 asks for as many retries as there can be, in Envoy's words.
    report.invalid(`${path}.${part}.${field}`, `is ${value}`, 'use 0 or more');
  }
  if (http?.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol === true) {
    report.invalid(`${path}.http.useClientProtocol`, 'excludes UPGRADE', 'use one of the two');
  }
}

function checkOutliers(spec: OutlierDetectionSpec, path: string, report: SpecReport): void {
  report.duration(`${path}.interval`, spec.interval);
  report.duration(`${path}.baseEjectionTime`, spec.baseEjectionTime);
  report.percent(`${path}.maxEjectionPercent`, spec.maxEjectionPercent);
  report.percent(`${path}.minHealthPercent`, spec.minHealthPercent);
}

export function checkClientTls(tls: ClientTlsSettings, path: string, report: SpecReport): void {
  const { mode = 'DISABLE', credentialName, clientCertificate, privateKey } = tls;
  const files = clientCertificate ?? privateKey ?? tls.caCertificates;
  if (credentialName !== undefined && files !== undefined) {
    report.invalid(`${path}.credentialName`, 'excludes files', 'use one of the two');
  }
  if (mode === 'MUTUAL' && !credentialName && !(clientCertificate && privateKey)) {
    const message = 'MUTUAL needs a certificate of its own';
    report.invalid(path, message, 'set credentialName, or clientCertificate and privateKey');
  }
  if (mode === 'ISTIO_MUTUAL' && (files ?? credentialName) !== undefined) {
    const message = 'ISTIO_MUTUAL uses the certificates of the mesh';
    report.invalid(path, message, 'remove the certificates, or use MUTUAL');
  }
}
