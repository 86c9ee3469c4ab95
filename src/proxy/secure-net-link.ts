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

interface Batch {
  readonly bytes: Buffer;
  used: number;
}

export class SecureNetLink implements SecureLink {
  readonly peer: TlsPeer;
  readonly #socket: TLSSocket;
  /** the connection below */
  readonly #raw: Socket;
  readonly #buffers: WriteBuffers;
  readonly #closeOrderly: CloseOrderly;
  #batch: Batch | undefined;
  readonly #full: Batch[] = [];
  #queued = 0;
  #scheduled = false;
  #writing = false;
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
    return this.#socket.bytesWritten + this.#queued;
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
      this.#batch ??= this.#newBatch();
      const { bytes } = this.#batch;
      const count = Math.min(chunk.length - at, bytes.length - this.#batch.used);
      const part = count === chunk.length ? chunk : chunk.subarray(at, at + count);
      bytes.set(part, this.#batch.used);
      this.#batch.used += count;
      this.#queued += count;
      at += count;
      if (this.#batch.used < bytes.length) continue;
      this.#full.push(this.#batch);
      this.#batch = undefined;
    }
    if (this.#queued < MAX_QUEUED_BYTES) return true;
    this.#waiting = true;
    return false;
  }

  #newBatch(): Batch {
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
    return { bytes: this.#buffers.take(), used: 0 };
  }

  /** One write at a time: what comes meanwhile fills the next batch, and costs one write too. */
  #flush(): void {
    if (this.#writing || this.#socket.destroyed) return;
    let batch = this.#full.shift();
    if (!batch) {
      batch = this.#batch;
      this.#batch = undefined;
    }
    if (!batch) {
      if (this.#ended) this.#socket.end();
      return;
    }
    const { bytes, used } = batch;
    this.#writing = true;
    this.#socket.write(bytes.subarray(0, used), () => {
      this.#writing = false;
      this.#buffers.give(bytes);
      this.#queued -= used;
      this.#flush();
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
    if (this.#ended) return;
    this.#ended = true;
    this.#flush();
  }

  close(reset: boolean): void {
    if (this.#closed) return;
    this.#ended = true;
    this.#closed = true;
    if (!reset) this.#allowOrderlyClose();
    this.#socket.destroy();
  }
}
