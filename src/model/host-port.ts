/** An address or name with its port as text: the host and port of an authority (RFC 3986 3.2.2 and 3.2.3). */

/** "10.0.0.1:80", "[fd00::1]:80", "db.example.com:5432" */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
