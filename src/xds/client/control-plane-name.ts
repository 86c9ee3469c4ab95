/**
 * What a control plane is called, from the identifier in its responses: istiod's is JSON, others' any text.
 */
export const CONTROL = 'podwire control';
const ISTIOD = 'istiod';
const MAX_LENGTH = 64;

/** "istiod 1.25.0"; of others the beginning of the text itself */
export function controlPlaneName(identifier: string): string {
  const istiod = parse(identifier);
  if (istiod?.Component !== ISTIOD) return identifier.slice(0, MAX_LENGTH);
  const version = istiod.Info?.version;
  return typeof version === 'string' ? `${ISTIOD} ${version.slice(0, MAX_LENGTH)}` : ISTIOD;
}

export function isIstiod(name: string): boolean {
  return name === ISTIOD || name.startsWith(`${ISTIOD} `);
}

/** pilot's IstioControlPlaneInstance */
function parse(
  text: string,
): { readonly Component?: unknown; readonly Info?: { readonly version?: unknown } } | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}
