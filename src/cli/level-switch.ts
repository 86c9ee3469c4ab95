/**
 * The log level of a process that runs.
 */
import { LOG_LEVELS, type Log } from '../log.ts';

/** pino's children keep the level they were born with: all of them are told. */
export class LevelSwitch {
  readonly #loggers: Log[];

  constructor(root: Log) {
    this.#loggers = [root];
    root.onChild = (child) => this.#loggers.push(child as Log);
  }

  set(name: string): boolean {
    const level = LOG_LEVELS.find((known) => known === name);
    if (level === undefined) return false;
    for (const logger of this.#loggers) logger.level = level;
    return true;
  }
}
