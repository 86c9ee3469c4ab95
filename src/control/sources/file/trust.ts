/**
 * Who may change the configuration: whoever writes the folder decides which namespaces are entered and which identities
 * pods carry, so the folder and its files must belong to root (or to the user the agent runs as) and to nobody else.
 */
import { accessSync, constants, type BigIntStats } from 'node:fs';

export interface Distrust {
  readonly message: string;
  readonly fix: string;
}

const WRITABLE_BY_OTHERS = 0o022n;

/** undefined: trusted */
export function distrustOf(path: string, stats: BigIntStats): Distrust | undefined {
  const self = BigInt(process.geteuid?.() ?? 0);
  if (stats.uid !== 0n && stats.uid !== self) {
    return {
      message: `belongs to user ${stats.uid}, who could change the mesh`,
      fix: `run: chown root ${path}`,
    };
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0n && !isReadOnly(path)) {
    const mode = (stats.mode & 0o7777n).toString(8).padStart(4, '0');
    return {
      message: `can be written by others than its owner (mode ${mode})`,
      fix: `run: chmod go-w ${path}`,
    };
  }
  return undefined;
}

/** A mounted ConfigMap has mode 0777 on a read-only mount: nobody can write there. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}
