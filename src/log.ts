/**
 * The root logger: JSON lines on stderr (stdout belongs to the verbs' output), or pretty ones for a person.  Made once
 * by the composition root; every component gets a child with its name.  Errors go under `err`.
 */
import { createRequire } from 'node:module';
import { type DestinationStream, type LevelWithSilent, type Logger, pino } from 'pino';
import type { PrettyOptions } from 'pino-pretty';
import { PodwireError } from './errors.ts';

export type Log = Logger;
export type LogLevel = LevelWithSilent;

export const LOG_LEVELS: readonly LogLevel[] = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
];

export interface LogOptions {
  readonly level: LogLevel;
  /** for terminals: needs the development package pino-pretty */
  readonly pretty: boolean;
}

const STDERR = 2;

/** `destination`: instead of stderr */
export function createLog({ level, pretty }: LogOptions, destination?: DestinationStream): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination ?? (pretty ? prettyStream() : stderrStream()));
}

/**
 * For a writer of very many lines, who forms them itself and hands them over in one piece: they go where the lines of
 * `log` go, in order with them.
 */
export class LineWriter {
  readonly #log: Log;
  readonly #destination: DestinationStream;
  /** the keys every line of `log` has */
  readonly #bindings: string;

  constructor(log: Log) {
    this.#log = log;
    /* pino offers its symbols for this: "performant integration where necessary" */
    this.#destination = (log as unknown as Record<symbol, DestinationStream>)[
      pino.symbols.streamSym
    ]!;
    this.#bindings = JSON.stringify(log.bindings()).slice(1, -1);
  }

  enabled(level: LogLevel): boolean {
    return this.#log.isLevelEnabled(level);
  }

  /** What a line begins with, as pino would write it now: `{"level":…,"time":…,"component":…`, without a comma. */
  head(level: LogLevel): string {
    const bindings = this.#bindings && `,${this.#bindings}`;
    return `{"level":"${level}"${pino.stdTimeFunctions.isoTime()}${bindings}`;
  }

  /** Whole lines, each with its end. */
  write(lines: string): void {
    this.#destination.write(lines);
  }
}

/** Written at once: the last lines of a process that dies are the ones that matter. */
function stderrStream(): DestinationStream {
  return pino.destination({ dest: STDERR, sync: true });
}

/** In this thread, not a pino transport: a worker's lines would be lost when the process exits. */
function prettyStream(): DestinationStream {
  let makeStream: (options: PrettyOptions) => DestinationStream;
  try {
    makeStream = createRequire(import.meta.url)('pino-pretty') as typeof makeStream;
  } catch (cause) {
    throw new PodwireError('ERR_BAD_OPTION', 'pretty logs need the package pino-pretty', {
      cause,
      hint: 'npm ci (without --omit=dev), or leave --log-pretty out',
    });
  }
  return makeStream({
    destination: STDERR,
    sync: true,
    colorize: process.stderr.isTTY === true,
    translateTime: 'HH:MM:ss.l',
    singleLine: true,
  });
}
