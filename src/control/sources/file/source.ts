/**
 * The config folder as a Source: every file is an origin, named as it is in the folder.
 *
 * A save that cannot be used leaves the last good state in force and shows up in the findings.
 */
import { PodwireError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import type { Source, SourceSink } from '../source.ts';
import { ConfigFolder, FolderError } from './folder.ts';
import { watchFolder, type Watcher } from './watcher.ts';

export class FolderSource implements Source {
  readonly name = 'folder';
  readonly #dir: string;
  readonly #log: Log;
  readonly #folder: ConfigFolder;
  #watcher: Watcher | undefined;

  constructor(dir: string, log: Log) {
    this.#dir = dir;
    this.#log = log;
    this.#folder = new ConfigFolder(dir);
  }

  /** Throws PodwireError ERR_CONFIG when the folder cannot be read or is not trusted. */
  async start(sink: SourceSink): Promise<void> {
    try {
      sink.apply((await this.#folder.scan()).changed);
    } catch (error) {
      if (!(error instanceof FolderError)) throw error;
      throw new PodwireError('ERR_CONFIG', error.message, { cause: error, hint: error.fix });
    }
    this.#watcher = watchFolder(this.#dir, async (names) => {
      try {
        const { changed } = await this.#folder.scan(names);
        sink.unavailable(undefined);
        if (changed.size > 0) sink.apply(changed);
      } catch (err) {
        if (err instanceof FolderError) sink.unavailable(findingOf(err));
        else this.#log.error({ err, dir: this.#dir }, 'the config folder could not be scanned');
      }
    });
  }

  async close(): Promise<void> {
    await this.#watcher?.close();
  }
}

/** The folder itself is unusable for now. */
function findingOf({ code, message, fix }: FolderError) {
  return {
    code,
    severity: 'error' as const,
    file: '',
    resource: '',
    path: '',
    message: `${message}; the last good state stays in force`,
    fix,
  };
}
