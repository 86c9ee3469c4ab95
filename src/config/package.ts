/**
 * The package this program runs from, built (dist/src) or not (src): its version, and where its BPF objects are.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageInfo {
  readonly version: string;
  /** folder of the BPF objects */
  readonly objects: string;
}

export function packageInfo(): PackageInfo {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const version = versionIn(folder);
    if (version !== undefined) return { version, objects: join(folder, 'bpf', '.output') };
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`no package.json of podwire above ${import.meta.url}`);
    folder = parent;
  }
}

function versionIn(folder: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(join(folder, 'package.json'), 'utf8');
  } catch {
    return undefined;
  }
  const { name, version } = JSON.parse(text) as { name?: string; version?: string };
  return name === 'podwire' ? version : undefined;
}
