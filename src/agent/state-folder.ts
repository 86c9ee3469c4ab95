/**
 * The agent's state between runs: small versioned JSON files, written by rename, readable by root only. Numbers are bound
 * to the boot: the kernel's cookies and pins start anew with it. The one key in the folder is a joined node's (identity/).
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PodwireError } from '../errors.ts';
import { numbersFromJson, numbersToJson, type Numbers } from '../compile/kernel/numbers.ts';

const NUMBERS = 'numbers.json';

export interface SavedNumbers {
  readonly numbers: Numbers;
  /** the first generation of pins that was written with these tables; those before it mean other things by their numbers */
  readonly since: number;
}

export class StateFolder {
  readonly path: string;
  readonly #bootId: string;

  constructor(path: string) {
    this.path = path;
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      chmodSync(path, 0o700);
    } catch (cause) {
      throw new PodwireError(
        'ERR_CONFIG',
        `state folder ${path} cannot be used: ${(cause as Error).message}`,
        {
          cause,
          hint: 'choose another with --state-dir',
        },
      );
    }
    this.#bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  }

  /** undefined: none of this boot, or damaged; then the kernel's maps must not be adopted. */
  loadNumbers(): SavedNumbers | undefined {
    try {
      const saved = JSON.parse(readFileSync(join(this.path, NUMBERS), 'utf8')) as {
        bootId?: unknown;
        since?: unknown;
        numbers?: unknown;
      };
      const numbers = saved.bootId === this.#bootId ? numbersFromJson(saved.numbers) : undefined;
      return numbers && typeof saved.since === 'number'
        ? { numbers, since: saved.since }
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** Before the plan that uses them is applied: a number in the kernel is always on disk. */
  saveNumbers({ numbers, since }: SavedNumbers): void {
    const path = join(this.path, NUMBERS);
    const text = JSON.stringify({ bootId: this.#bootId, since, numbers: numbersToJson(numbers) });
    writeFileSync(`${path}.tmp`, text, { mode: 0o600, flush: true });
    renameSync(`${path}.tmp`, path);
  }
}
