/** A net.Socket as a Link. */
import type { Socket } from 'node:net';
import type { Link, LinkHandlers } from './transport.ts';

/**
 * The sockets a NetTransport is given send RST when they are closed, so that a process that dies in the middle never looks
 * like the end of an answer. When both directions have ended, and only then, the link is closed as TCP does.
 */
export type CloseOrderly = (fd: number) => void;

/** Whether this turn of the event loop has written already, and holds back what more there is. */
const Turn = { QUIET: 0, WRITTEN: 1, CORKED: 2 } as const;

export class NetLink implements Link {
  readonly #socket: Socket;
  readonly #closeOrderly: CloseOrderly;
  #error: Error | undefined;
  #turn: number = Turn.QUIET;

  constructor(socket: Socket, closeOrderly: CloseOrderly) {
    this.#socket = socket;
    this.#closeOrderly = closeOrderly;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.#error = error;
    });
    /* The later of the two; the socket closes itself after it. */
    socket.on('end', () => socket.writableFinished && this.#allowOrderlyClose());
    socket.on('finish', () => socket.readableEnded && this.#allowOrderlyClose());
  }

  #allowOrderlyClose(): void {
    const { fd } = this;
    if (fd >= 0) this.#closeOrderly(fd);
  }

  get fd(): number {
    return (this.#socket as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  start(handlers: LinkHandlers): void {
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => handlers.data(chunk));
    socket.on('end', () => handlers.end());
    socket.on('drain', () => handlers.drain());
    socket.on('close', () => handlers.close(this.#error));
    if (socket.destroyed) handlers.close(this.#error);
    else socket.resume();
  }

  /** The first of a turn leaves at once; what follows in the same turn leaves together. */
  send(chunk: Uint8Array): boolean {
    if (this.#turn === Turn.WRITTEN) {
      this.#turn = Turn.CORKED;
      this.#socket.cork();
    } else if (this.#turn === Turn.QUIET) {
      this.#turn = Turn.WRITTEN;
      setImmediate(() => {
        if (this.#turn === Turn.CORKED) this.#socket.uncork();
        this.#turn = Turn.QUIET;
      });
    }
    return this.#socket.write(chunk);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    if (this.#turn === Turn.CORKED) {
      this.#turn = Turn.WRITTEN;
      this.#socket.uncork();
    }
    this.#socket.end();
  }

  /**
   * Not resetAndDestroy(): it waits until all is written, and after a half-close it closes nothing (libuv refuses with EINVAL).
   */
  close(reset: boolean): void {
    if (!reset) this.#allowOrderlyClose();
    this.#socket.destroy();
  }
}
