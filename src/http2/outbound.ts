/**
 * What a session sends: frames in order, DATA within both windows, and who may go on when the link or the connection's window
 * lets them. Streams that wait are served in turns of a quantum, so none of them starves.
 */
import type { Link } from '../proxy/transport.ts';
import { ConnectionError, ErrorCode } from './error.ts';
import type { FieldList } from './fields.ts';
import {
  DEFAULT_WINDOW,
  Flag,
  FrameType,
  HEAD_BYTES,
  headersFrames,
  MAX_WINDOW,
  writeHead,
} from './frame.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { PeerSettings } from './settings.ts';

/** A stream as the sending side sees it. */
export interface Sender {
  readonly id: number;
  sendWindow: number;
  /** Sends up to `quantum` bytes of what is queued, then waits again or tells its user that it may go on. */
  serve(quantum: number): void;
}

const QUANTUM = 64 * 1024;
/** Up to this a payload is copied behind its head: one send is cheaper than two. */
const COPY_BYTES = 1024;
/** Answers to a peer that reads nothing: the link holds them all. */
const MAX_BACKLOG_BYTES = 256 * 1024;

export class Outbound {
  readonly peer = new PeerSettings();
  readonly #link: Link;
  /** the peer asks for answers and does not read them */
  readonly #onOverflow: () => void;
  readonly #encoder = new HpackEncoder();
  #window = DEFAULT_WINDOW;
  #blocked = false;
  #backlog = 0;
  #closed = false;
  readonly #forLink = new Set<Sender>();
  readonly #forWindow = new Set<Sender>();

  constructor(options: { link: Link; onOverflow: () => void }) {
    this.#link = options.link;
    this.#onOverflow = options.onOverflow;
  }

  /** The link has enough for now; what is sent nevertheless is queued there. */
  get blocked(): boolean {
    return this.#blocked;
  }

  get window(): number {
    return this.#window;
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#closed = true;
    this.#forLink.clear();
    this.#forWindow.clear();
  }

  /** A control frame. */
  write(frame: Buffer): void {
    if (this.#closed) return;
    if (!this.#link.send(frame)) this.#blocked = true;
    if (!this.#blocked) return;
    this.#backlog += frame.length;
    if (this.#backlog > MAX_BACKLOG_BYTES) this.#onOverflow();
  }

  headers(streamId: number, fields: FieldList, endStream: boolean): void {
    const block = this.#encoder.encode(fields);
    this.write(headersFrames(streamId, block, endStream, this.peer.maxFrameSize));
  }

  endStream(streamId: number): void {
    const frame = Buffer.allocUnsafe(HEAD_BYTES);
    writeHead(frame, 0, 0, FrameType.DATA, Flag.END_STREAM, streamId);
    this.write(frame);
  }

  /** Sends as much of `chunk` as the windows allow; returns how much. */
  data(sender: Sender, chunk: Uint8Array): number {
    if (this.#closed) return 0;
    const { length } = chunk;
    let at = 0;
    while (at < length) {
      const count = Math.min(length - at, this.peer.maxFrameSize, sender.sendWindow, this.#window);
      if (count <= 0) break;
      const copied = count <= COPY_BYTES;
      const head = Buffer.allocUnsafe(copied ? HEAD_BYTES + count : HEAD_BYTES);
      writeHead(head, 0, count, FrameType.DATA, 0, sender.id);
      const payload = count === length ? chunk : chunk.subarray(at, at + count);
      if (copied) head.set(payload, HEAD_BYTES);
      let more = this.#link.send(head);
      if (!copied) more = this.#link.send(payload);
      if (!more) this.#blocked = true;
      sender.sendWindow -= count;
      this.#window -= count;
      at += count;
    }
    return at;
  }

  /** `sender` goes on when the link takes bytes again. */
  waitForLink(sender: Sender): void {
    this.#forLink.add(sender);
  }

  /** `sender` has something to send that it could not send before. */
  ready(sender: Sender): void {
    this.#forLink.add(sender);
    this.#serve();
  }

  waitForWindow(sender: Sender): void {
    this.#forWindow.add(sender);
  }

  forget(sender: Sender): void {
    this.#forLink.delete(sender);
    this.#forWindow.delete(sender);
  }

  drained(): void {
    this.#blocked = false;
    this.#backlog = 0;
    this.#serve();
  }

  /** @throws ConnectionError */
  addWindow(increment: number): void {
    this.#window += increment;
    if (this.#window > MAX_WINDOW)
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'connection window');
    for (const sender of this.#forWindow) this.#forLink.add(sender);
    this.#forWindow.clear();
    this.#serve();
  }

  /** Takes the peer's SETTINGS; returns by how much the windows of all streams change. @throws ConnectionError */
  applySettings(payload: Buffer, role: 'client' | 'server'): number {
    const before = this.peer.initialWindow;
    this.peer.apply(payload, role);
    this.#encoder.setMaxTableSize(this.peer.headerTableSize);
    return this.peer.initialWindow - before;
  }

  #serve(): void {
    while (!this.#blocked) {
      const [next] = this.#forLink;
      if (!next) return;
      this.#forLink.delete(next);
      next.serve(QUANTUM);
    }
  }
}
