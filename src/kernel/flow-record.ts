/**
 * One struct flow_event of a batch, read in place: decoding every event into an object (five byte arrays, seven bigints)
 * was most of what a closed connection cost the agent.  Only its numbers are read each time; the rest of it, its kind, is
 * the same for connection after connection and is decoded once.
 */
import { FLOW_EVENT_SIZE, readFlowEvent, type FlowEvent } from './abi/layout.gen.ts';
import { offsetOf as offsetIn, wordsOf } from './abi/offsets.ts';

const SOURCE_PORT = offsetOf('key') + offsetOf('local_port', 'flow_key');
const REMOTE_PORT = offsetOf('key') + offsetOf('remote_port', 'flow_key');
const DIALLED_PORT = offsetOf('dialled_port');
const BORN_NS = offsetOf('born_ns');
const ENDED_NS = offsetOf('ended_ns');
const COOKIE = offsetOf('cookie');
const SERVER_COOKIE = offsetOf('server_cookie');
const CLIENT_SENT = offsetOf('client_sent');
const SERVER_SENT = offsetOf('server_sent');
const REDIRECTED_BYTES = offsetOf('redirected_bytes');
const FLAGS = offsetOf('flags');

/** The 32-bit words that make up the kind, besides the two ports that share a word with another one. */
const KIND_WORDS: readonly number[] = [
  ...words('type'),
  ...words('reason'),
  ...words('key').slice(0, 8),
  ...words('path'),
  ...words('source_identity'),
  ...words('destination_identity'),
  ...words('source_pod'),
  ...words('destination_pod'),
  ...words('service'),
  ...words('policy'),
  ...words('dialled'),
  ...words('ends'),
];

const FNV_PRIME = 0x01000193;
const WORD = 2 ** 32;

/** Socket cookies are counted up from 1 and bytes of one connection stay far below 2^53: numbers hold both exactly. */
export class FlowRecord {
  /** of the client, or of the server where the client is not ours */
  id = 0;
  clientCookie = 0;
  serverCookie = 0;
  flags = 0;
  sourcePort = 0;
  /** client → server */
  bytesSent = 0;
  /** server → client */
  bytesReceived = 0;
  redirectedBytes = 0;
  durationMs = 0;
  #view: DataView = new DataView(new ArrayBuffer(FLOW_EVENT_SIZE));
  #at = 0;

  /** The record is valid until the next read(): it is one object for all. */
  read(view: DataView, at: number): void {
    this.#view = view;
    this.#at = at;
    this.clientCookie = u64(view, at + COOKIE);
    this.serverCookie = u64(view, at + SERVER_COOKIE);
    this.id = this.clientCookie || this.serverCookie;
    this.flags = view.getUint32(at + FLAGS, true);
    this.sourcePort = view.getUint16(at + SOURCE_PORT, true);
    this.bytesSent = u64(view, at + CLIENT_SENT);
    this.bytesReceived = u64(view, at + SERVER_SENT);
    this.redirectedBytes = u64(view, at + REDIRECTED_BYTES);
    this.durationMs = (u64(view, at + ENDED_NS) - u64(view, at + BORN_NS)) / 1e6;
  }

  /** All of it. */
  event(): FlowEvent {
    return readFlowEvent(this.#view, this.#at);
  }

  kindHash(seed: number): number {
    const view = this.#view;
    const at = this.#at;
    let hash = seed ^ 0x811c9dc5;
    for (const word of KIND_WORDS) {
      hash = Math.imul(hash ^ view.getUint32(at + word, true), FNV_PRIME);
      hash ^= hash >>> 15;
    }
    return Math.imul(hash ^ this.#ports(), FNV_PRIME);
  }

  kindWords(): Uint32Array {
    const kind = new Uint32Array(KIND_WORDS.length + 1);
    KIND_WORDS.forEach((word, i) => (kind[i] = this.#view.getUint32(this.#at + word, true)));
    kind[KIND_WORDS.length] = this.#ports();
    return kind;
  }

  isOfKind(kind: Uint32Array): boolean {
    const view = this.#view;
    const at = this.#at;
    for (let i = 0; i < KIND_WORDS.length; i++) {
      if (view.getUint32(at + KIND_WORDS[i]!, true) !== kind[i]) return false;
    }
    return kind[KIND_WORDS.length] === this.#ports();
  }

  #ports(): number {
    const remote = this.#view.getUint16(this.#at + REMOTE_PORT, true);
    const dialled = this.#view.getUint16(this.#at + DIALLED_PORT, true);
    return ((remote << 16) | dialled) >>> 0;
  }
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * WORD + view.getUint32(at, true);
}

function offsetOf(name: string, struct = 'flow_event'): number {
  return offsetIn(struct, name);
}

function words(name: string): number[] {
  return wordsOf('flow_event', name);
}
