/**
 * A TCP link to an API server that can be cut, or go silent as a firewall does that has forgotten a connection.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export class FlakyLink {
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server = createServer((near) => this.#accept(near));
  readonly #port: number;
  #cut = false;

  /** to `port` of loopback */
  constructor(port: number) {
    this.#port = port;
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections end, and new ones are refused at once. */
  cut(): void {
    this.#cut = true;
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  mend(): void {
    this.#cut = false;
  }

  /** What is connected now stays so, and no byte goes through any more; new connections work. */
  silence(): number {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.resume();
      far.resume();
    }
    return this.#pairs.size;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    if (this.#cut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(this.#port, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.pipe(far);
    far.pipe(near);
  }
}
