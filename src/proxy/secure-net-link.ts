/**
 * A TLSSocket as a Link. Each write of a TLSSocket costs far more than the copying of its bytes, so what one turn sends is put
 * together and written at its end.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CloseOrderly } from './net-link.ts';
import type { LinkHandlers, SecureLink, TlsPeer } from './transport.ts';
import type { WriteBuffers } from './write-buffers.ts';

/** What may be on its way to the kernel before senders have to wait. */
const MAX_QUEUED_BYTES = 256 * 1024;

export class SecureNetLink implements SecureLink {
  readonly peer: TlsPeer;
  readonly #socket: TLSSocket;
  /** the connection below */
  readonly #raw: Socket;
  readonly #buffers: WriteBuffers;
  readonly #closeOrderly: CloseOrderly;
  #batch: Buffer | undefined;
  #used = 0;
  #queued = 0;
  #waiting = false;
  #ended = false;
  #closed = false;
  #handlers: LinkHandlers | undefined;
  #error: Error | undefined;

  constructor(options: {
    socket: TLSSocket;
    raw: Socket;
    peer: TlsPeer;
    buffers: WriteBuffers;
    closeOrderly: CloseOrderly;
  }) {
    this.peer = options.peer;
    this.#socket = options.socket;
    this.#raw = options.raw;
    this.#buffers = options.buffers;
    this.#closeOrderly = options.closeOrderly;
    const { socket } = options;
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('end', () => socket.writableFinished && this.#allowOrderlyClose());
    socket.on('finish', () => socket.readableEnded && this.#allowOrderlyClose());
  }

  #allowOrderlyClose(): void {
    const { fd } = this;
    if (fd >= 0) this.#closeOrderly(fd);
  }

  get fd(): number {
    return (this.#raw as unknown as { _handle: { fd: number } | null })._handle?.fd ?? -1;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten + this.#used;
  }

  start(handlers: LinkHandlers): void {
    this.#handlers = handlers;
    const socket = this.#socket;
    socket.on('data', (chunk: Buffer) => this.#closed || handlers.data(chunk));
    socket.on('end', () => this.#closed || handlers.end());
    socket.on('close', () => handlers.close(this.#error));
    if (socket.destroyed) handlers.close(this.#error);
    else socket.resume();
  }

  send(chunk: Uint8Array): boolean {
    if (this.#ended || this.#socket.destroyed) return false;
    for (let at = 0; at < chunk.length;) {
      if (!this.#batch) {
        this.#batch = this.#buffers.take();
        process.nextTick(() => this.#flush());
      }
      const count = Math.min(chunk.length - at, this.#batch.length - this.#used);
      this.#batch.set(
        at === 0 && count === chunk.length ? chunk : chunk.subarray(at, at + count),
        this.#used,
      );
      this.#used += count;
      at += count;
      if (this.#used === this.#batch.length) this.#flush();
    }
    if (this.#queued + this.#used < MAX_QUEUED_BYTES) return true;
    this.#waiting = true;
    return false;
  }

  #flush(): void {
    const batch = this.#batch;
    if (!batch) return;
    const bytes = this.#used;
    this.#batch = undefined;
    this.#used = 0;
    if (this.#socket.destroyed) return;
    this.#queued += bytes;
    this.#socket.write(batch.subarray(0, bytes), () => {
      this.#queued -= bytes;
      this.#buffers.give(batch);
      if (!this.#waiting || this.#queued > MAX_QUEUED_BYTES / 2 || this.#socket.destroyed) return;
      this.#waiting = false;
      this.#handlers?.drain();
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#flush();
    this.#ended = true;
    this.#socket.end();
  }

  close(reset: boolean): void {
    if (this.#closed) return;
    this.#ended = true;
    this.#closed = true;
    if (reset) {
      /* Inside a callback of the TLS socket Node crashes when the connection goes away below it. */
      setImmediate(() => {
        this.#raw.resetAndDestroy();
        this.#socket.destroy();
      });
    } else {
      this.#allowOrderlyClose();
      this.#socket.destroy();
    }
  }
}
