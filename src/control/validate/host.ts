/**
 * Host names of the mesh.
 */
const LABEL = '[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?';
const HOST = new RegExp(`^${LABEL}(\\.${LABEL})*\\.?$`, 'i');

export function isHost(text: string): boolean {
  return text.length <= 255 && HOST.test(text);
}

/** "*", "*.suffix" or "*suffix", or a host */
export function isHostOrWildcard(text: string): boolean {
  if (text === '*') return true;
  return isHost(
    text.startsWith('*.') ? text.slice(2) : text.startsWith('*') ? text.slice(1) : text,
  );
}

/**
 * The name by which a host in a resource of `namespace` is known in the mesh: a name without dots is a Service of that
 * namespace (Istio's short names).
 */
export function fullHost(host: string, namespace: string, domain: string): string {
  const name = host.toLowerCase();
  return name.includes('.') || name.includes('*') ? name : `${name}.${namespace}.svc.${domain}`;
}
