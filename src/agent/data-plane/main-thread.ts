/** A worker's line to the main thread: questions with answers, some of which last until the mesh changes. */
import type {
  Answer,
  Answers,
  FromWorker,
  ProxyDenial,
  Question,
  TunnelFailure,
} from './messages.ts';

/** More kinds of connections than a node's pods make. */
const MAX_LASTING = 16_384;

type Of<K extends Question['kind']> = Extract<Question, { kind: K }>;

export class MainThread {
  readonly #say: (message: FromWorker) => void;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  readonly #lasting = new Map<string, Promise<Answer>>();
  #nextId = 1;

  constructor(say: (message: FromWorker) => void) {
    this.#say = say;
  }

  ask<K extends Question['kind']>(question: Of<K>): Promise<Answers[K]> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve as (answer: Answer) => void);
      this.#say({ kind: 'question', id, question });
    });
  }

  /** The same, asked once until the mesh changes, where `lasts` says so of the answer. */
  askOnce<K extends Question['kind']>(
    key: string,
    question: Of<K>,
    lasts: (answer: Answers[K]) => boolean,
  ): Promise<Answers[K]> {
    const known = this.#lasting.get(key);
    if (known) return known as Promise<Answers[K]>;
    const asked = this.ask(question);
    if (this.#lasting.size >= MAX_LASTING) this.#lasting.clear();
    this.#lasting.set(key, asked);
    void asked.then((answer) => {
      if (!lasts(answer) && this.#lasting.get(key) === asked) this.#lasting.delete(key);
    });
    return asked;
  }

  /** A connection waits for the certificate of this identity. */
  want(spiffe: string): void {
    this.#say({ kind: 'want', spiffe });
  }

  denied(denial: ProxyDenial): void {
    this.#say({ kind: 'denied', denial });
  }

  failed(failure: TunnelFailure): void {
    this.#say({ kind: 'failed', failure });
  }

  answered(id: number, answer: Answer): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }

  /** What is still on its way was asked of the old mesh: whoever waits gets it, nobody after. */
  meshChanged(): void {
    this.#lasting.clear();
  }
}
