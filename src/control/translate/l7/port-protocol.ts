/**
 * What is spoken at a port: appProtocol, or the prefix of the port's name, as Istio reads them.
 */
export type PortProtocol = 'http' | 'http2' | 'tls' | 'tcp' | 'auto';

const PROTOCOLS: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  'http-web': 'http',
  http2: 'http2',
  h2c: 'http2',
  grpc: 'http2',
  'grpc-web': 'http2',
  https: 'tls',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  postgres: 'tcp',
  udp: 'tcp',
};

/** "http", "HTTPS", "http2-metrics", "kubernetes.io/h2c", …; `auto` where nothing is said */
export function protocolOf(name: string, appProtocol?: string): PortProtocol {
  if (appProtocol !== undefined && appProtocol !== '') {
    const stated = appProtocol.toLowerCase().replace(/^(kubernetes\.io|istio\.io)\//, '');
    if (stated === 'ws') return 'http';
    if (stated === 'wss') return 'tls';
    return PROTOCOLS[stated] ?? 'tcp';
  }
  const lower = name.toLowerCase();
  if (/^grpc-web(-|$)/.test(lower)) return 'http2';
  return PROTOCOLS[lower.split('-')[0] ?? ''] ?? 'auto';
}

export function isHttp(protocol: PortProtocol): boolean {
  return protocol === 'http' || protocol === 'http2';
}
