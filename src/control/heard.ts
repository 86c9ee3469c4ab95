/**
 * Whether a source has told all it has since the start.
 *
 * Agents take what control serves for the whole mesh: a control that starts while its cluster is away must not serve an
 * empty one.
 */
import type { Finding } from '../model/finding.ts';
import type { Source, SourceSink } from './sources/source.ts';

export class HeardSource implements Source {
  readonly name: string;
  readonly #source: Source;
  readonly #heard: Promise<void>;
  #hear = (): void => {};
  #away: Finding | undefined;
  #started = false;

  constructor(source: Source) {
    this.#source = source;
    this.name = source.name;
    this.#heard = new Promise((resolve) => {
      this.#hear = resolve;
    });
  }

  /** Resolves once, after the source has started and could be read. */
  get heard(): Promise<void> {
    return this.#heard;
  }

  async start(sink: SourceSink): Promise<void> {
    await this.#source.start({
      apply: (changes) => sink.apply(changes),
      unavailable: (finding) => {
        sink.unavailable(finding);
        this.#away = finding;
        this.#check();
      },
    });
    this.#started = true;
    this.#check();
  }

  async followSecrets(names: ReadonlySet<string>): Promise<void> {
    await this.#source.followSecrets?.(names);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  #check(): void {
    if (this.#started && this.#away === undefined) this.#hear();
  }
}
