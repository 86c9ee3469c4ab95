/**
 * The agent's state between runs: small versioned JSON files, readable by root only. Numbers are bound to the boot: the
 * kernel's cookies and pins start anew with it. The one key in the folder is a joined node's (identity/).
 */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { PodwireError } from '../errors.ts';
import { NumbersFile, type SavedNumbers } from './numbers-file.ts';

export class StateFolder {
  readonly path: string;
  readonly #numbers: NumbersFile;

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
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    this.#numbers = new NumbersFile(path, bootId);
  }

  /** undefined: none of this boot, or damaged; then the kernel's maps must not be adopted. */
  loadNumbers(): SavedNumbers | undefined {
    return this.#numbers.load();
  }

  /** Before the plan that uses them is applied: a number in the kernel is always on disk. */
  saveNumbers(numbers: SavedNumbers): void {
    this.#numbers.save(numbers);
  }
}
