/**
 * The number tables on disk: `numbers.json`, and beside it a journal of what was given out since, so that a new pod costs
 * one line and not a file as large as the mesh.
 *
 *   numbers.json           { bootId, since, journal, numbers }    replaced by rename
 *   numbers-JOURNAL.jsonl  one line per plan that gave out numbers; complete lines count
 *
 * Nothing is flushed to the device: what a process wrote outlives it, and a crash of the machine ends the boot that the
 * numbers are bound to.
 */
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  addNumbers,
  numbersAdded,
  numbersFromJson,
  numbersToJson,
  type Numbers,
} from '../compile/kernel/numbers.ts';

const NAME = 'numbers.json';
const JOURNAL = /^numbers-[0-9a-f]+\.jsonl$/;
/** The tables are written whole again when the journal is longer than they, and than this. */
const MIN_JOURNAL_BYTES = 64 * 1024;

export interface SavedNumbers {
  readonly numbers: Numbers;
  /** the first generation of pins that was written with these tables; those before it mean other things by their numbers */
  readonly since: number;
}

export class NumbersFile {
  readonly #folder: string;
  readonly #bootId: string;
  #saved: SavedNumbers | undefined;
  #journal = '';
  #journalBytes = 0;
  #wholeBytes = 0;

  constructor(folder: string, bootId: string) {
    this.#folder = folder;
    this.#bootId = bootId;
  }

  /** undefined: none of this boot, or damaged. */
  load(): SavedNumbers | undefined {
    try {
      const whole = JSON.parse(readFileSync(join(this.#folder, NAME), 'utf8')) as {
        bootId?: unknown;
        since?: unknown;
        journal?: unknown;
        numbers?: unknown;
      };
      const { bootId, since, journal } = whole;
      if (bootId !== this.#bootId || typeof since !== 'number') return undefined;
      const numbers = this.#withJournal(numbersFromJson(whole.numbers), journal);
      return numbers && { numbers, since };
    } catch {
      return undefined;
    }
  }

  /** Before the plan that uses them is applied: a number in the kernel is always on disk. */
  save(next: SavedNumbers): void {
    const saved = this.#saved;
    const added =
      saved?.since === next.since ? numbersAdded(saved.numbers, next.numbers) : undefined;
    if (added === undefined || this.#journalBytes > Math.max(MIN_JOURNAL_BYTES, this.#wholeBytes)) {
      this.#saveWhole(next);
    } else {
      const line = `${JSON.stringify(added)}\n`;
      // A line that was cut off (no space left) must not become part of the next one: then all is written anew.
      this.#saved = undefined;
      appendFileSync(join(this.#folder, this.#journal), line, { mode: 0o600 });
      this.#journalBytes += line.length;
    }
    this.#saved = next;
  }

  #saveWhole({ numbers, since }: SavedNumbers): void {
    const journal = `numbers-${randomBytes(8).toString('hex')}.jsonl`;
    const content = { bootId: this.#bootId, since, journal, numbers: numbersToJson(numbers) };
    const text = JSON.stringify(content);
    const path = join(this.#folder, NAME);
    this.#saved = undefined;
    writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
    for (const name of readdirSync(this.#folder)) {
      if (JOURNAL.test(name)) rmSync(join(this.#folder, name), { force: true });
    }
    this.#journal = journal;
    this.#journalBytes = 0;
    this.#wholeBytes = text.length;
  }

  /** The last line may be cut off: then its plan was never applied. */
  #withJournal(numbers: Numbers | undefined, journal: unknown): Numbers | undefined {
    if (numbers === undefined || typeof journal !== 'string' || !JOURNAL.test(journal)) {
      return numbers;
    }
    let all: Numbers | undefined = numbers;
    for (const line of readIfThere(join(this.#folder, journal)).split('\n').slice(0, -1)) {
      all &&= addNumbers(all, JSON.parse(line));
    }
    return all;
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
