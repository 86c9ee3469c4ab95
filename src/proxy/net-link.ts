/** A net.Socket as a Link. */
import type { Socket } from 'node:net';
import type { Link, LinkHandlers } from './transport.ts';

/**
 * The sockets a NetTransport is given send RST when they are closed, so that a process that dies in the middle never looks
 * like the end of an answer. When both directions have ended, and only then, the link is closed as TCP does.
 */
export type CloseOrderly = (fd: number) => void;

export class NetLink implements Link {
  readonly #socket: Socket;
  readonly #closeOrderly: CloseOrderly;
  #error: Error | undefined;

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

  send(chunk: Uint8Array): boolean {
    return this.#socket.write(chunk);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  close(reset: boolean): void {
    if (reset) {
      this.#socket.resetAndDestroy();
    } else {
      this.#allowOrderlyClose();
      this.#socket.destroy();
    }
  }
}
