/**
 * The programs in the two pods: the client that does what it is told (test/c/demo-client.c), and the server that says
 * whom it sees (test/c/demo-server.c).
 */
import { cProgram } from '../support/node.ts';
import type { Ground, Pod } from './ground.ts';
import { Program } from './program.ts';

const ANSWER_MS = 10_000;

/** Two addresses of a connection as one end of it is told them: getpeername() and getsockname(). */
export interface Ends {
  readonly peer: string;
  readonly local: string;
}

export interface Exchanges {
  readonly count: number;
  /** of the median, or of the longest */
  readonly us: number;
}

export type Answer<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export class ClientProgram {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** Connects SLOT, which has been exchanging messages ever since. */
  async open(slot: number, address: string): Promise<Answer<Ends>> {
    return parseAnswer(await this.#ask(`open ${slot} ${address}`), parseEnds);
  }

  /** Ping-pong as fast as it goes: count and median. */
  async measure(slot: number, ms: number): Promise<Answer<Exchanges>> {
    return parseAnswer(await this.#ask(`measure ${slot} ${ms}`), parseExchanges);
  }

  /** Count and longest since the last report. */
  async report(slot: number): Promise<Answer<Exchanges>> {
    return parseAnswer(await this.#ask(`report ${slot}`), parseExchanges);
  }

  async close(slot: number): Promise<void> {
    await this.#ask(`close ${slot}`);
  }

  async #ask(command: string): Promise<string> {
    const seen = this.#program.lines.length;
    this.#program.write(command);
    return this.#program.waitFor(`answer to "${command}"`, ANSWER_MS, () => {
      return this.#program.lines[seen];
    });
  }
}

export class ServerProgram {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  get pid(): number {
    return this.#program.pid;
  }

  /** What the server sees of the connection that comes from this address. */
  async accepted(from: string): Promise<Ends> {
    const start = `accepted ${from} `;
    const line = await this.#program.waitFor(`connection from ${from}`, ANSWER_MS, () =>
      this.#program.lines.find((one) => one.startsWith(start)),
    );
    return parseEnds(line.split(' ').slice(1));
  }
}

export function startClient(input: {
  readonly ground: Ground;
  readonly pod: Pod;
  readonly cpu: number;
  readonly signal: AbortSignal;
}): ClientProgram {
  const { ground, pod, cpu, signal } = input;
  const child = ground.start(cProgram('demo-client'), [], { pod, cpu });
  return new ClientProgram(new Program({ child, name: 'the client', signal }));
}

export async function startServer(input: {
  readonly ground: Ground;
  readonly pod: Pod;
  readonly cpu: number;
  readonly port: number;
  readonly signal: AbortSignal;
}): Promise<ServerProgram> {
  const { ground, pod, cpu, port, signal } = input;
  const child = ground.start(cProgram('demo-server'), [`${pod.address}:${port}`], { pod, cpu });
  const program = new Program({ child, name: 'the server', signal });
  await program.waitFor('"listening"', ANSWER_MS, () => program.lines[0]);
  return new ServerProgram(program);
}

/** `ok WORD...` or `error TEXT` */
export function parseAnswer<T>(line: string, parse: (words: readonly string[]) => T): Answer<T> {
  if (line.startsWith('error ')) return { ok: false, error: line.slice('error '.length) };
  const [verb, ...words] = line.split(' ');
  if (verb !== 'ok') throw new Error(`the client said "${line}"`);
  return { ok: true, value: parse(words) };
}

export function parseEnds([peer = '', local = '']: readonly string[]): Ends {
  return { peer, local };
}

export function parseExchanges([count, us]: readonly string[]): Exchanges {
  return { count: Number(count), us: Number(us) };
}

/** For steps in which nothing may fail. */
export function valueOf<T>(what: string, answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  throw new Error(`${what}: ${answer.error}`);
}
