/**
 * How a long-running verb is told to stop.
 */
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Why and when to stop; a second signal means: now. */
export class StopRequest {
  readonly #controller = new AbortController();
  readonly #onSignal: (name: NodeJS.Signals) => void;
  readonly abandoned: Promise<never>;

  constructor() {
    let abandon: (error: Error) => void;
    this.abandoned = new Promise((_, reject) => {
      abandon = reject;
    });
    this.#onSignal = (name) => {
      if (!this.signal.aborted) this.request(name);
      else abandon(new Error(`a second signal (${name}): stopped without waiting`));
    };
    for (const name of STOP_SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  request(reason: string): void {
    this.#controller.abort(reason);
  }

  release(): void {
    for (const name of STOP_SIGNALS) process.off(name, this.#onSignal);
  }
}
