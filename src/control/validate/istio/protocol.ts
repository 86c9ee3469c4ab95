/**
 * Istio's names of protocols, of ports of Gateways, ServiceEntries and Sidecars.
 */
const PROTOCOLS = new Set(
  'HTTP HTTPS HTTP2 GRPC GRPC-WEB HTTP_PROXY HBONE TCP TLS UDP MONGO REDIS MYSQL'.split(' '),
);

export function isProtocol(text: string): boolean {
  return PROTOCOLS.has(text.toUpperCase());
}
