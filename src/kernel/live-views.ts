/**
 * The live ends of connections, struct conn_view by struct conn_view, read in place: decoding each of thousands (five byte
 * arrays, eleven bigints) was most of what a change of policy cost. The view of another agent may be shorter or longer than
 * ours: it is cut, or filled with zeros.
 */
import { ConnFlags, ConnView, readConnView } from './abi/layout.gen.ts';
import { offsetOf, wordsOf } from './abi/offsets.ts';

const STRIDE = ConnView.size / 4;
const SIZE = word('size');
const FLAGS = word('flags');
const COOKIE = word('cookie');
const NETNS = word('netns');
const PEER_COOKIE = word('peer_cookie');
const SOURCE_IDENTITY = word('source_identity');
const DESTINATION_IDENTITY = word('destination_identity');
const SOURCE_POD = word('source_pod');
const DESTINATION_POD = word('destination_pod');
const SERVICE = word('service');
const KEY_NETNS = word('key') + offsetOf('flow_key', 'netns') / 4;
/** local_port and remote_port, the second one in the upper half */
const PORTS = word('key') + offsetOf('flow_key', 'local_port') / 4;
/** dialled_port and client_port, the second one in the upper half */
const DIALLED_AND_CLIENT_PORT = word('dialled_port');

/** What policy is about, besides the service's port, some flags, and what is only asked whether it is 0. */
const KIND_WORDS: readonly number[] = [
  ...wordsIn('key').slice(0, 8),
  ...wordsIn('client'),
  SOURCE_POD,
  DESTINATION_POD,
  SOURCE_IDENTITY,
];
/** Of the addresses what is not a network's prefix, or less: this code runs rarely, and so never becomes fast. */
const HASHED_WORDS: readonly number[] = [
  ...[3, 7].map((at) => wordsIn('key')[at]!),
  wordsIn('client')[3]!,
  SOURCE_POD,
  DESTINATION_POD,
  SOURCE_IDENTITY,
];
const KIND_FLAGS =
  ConnFlags.CLIENT | ConnFlags.NODE | ConnFlags.AGENT | ConnFlags.SECOND_LEG | ConnFlags.TUNNELLED;
const HAS_CLIENT_PORT = 1 << 30;
const WITHIN_POD = 1 << 29;

const WORD = 2 ** 32;
const FNV_PRIME = 0x01000193;
const NONE = -1;

/** What one iterator printed. */
export interface PrintedViews {
  readonly bytes: Uint8Array;
  /** identity number that a pod has today, where the numbers are those of a table nobody has any more */
  readonly identityOf?: ((pod: number) => number) | undefined;
}

export class LiveViews {
  readonly count: number;
  readonly #words: Uint32Array;
  readonly #view: DataView;

  /** Of a socket that several of them know, the first one is right. */
  constructor(printed: readonly PrintedViews[]) {
    const parts = printed.map(({ bytes, identityOf }) => {
      const words = viewsIn(bytes);
      if (identityOf) renumber(words, identityOf);
      return words;
    });
    this.#words = parts.length === 1 ? parts[0]! : join(parts);
    const { buffer, byteOffset, byteLength, length } = this.#words;
    this.#view = new DataView(buffer, byteOffset, byteLength);
    this.count = length / STRIDE;
  }

  /** All of it. */
  decode(index: number): ConnView {
    return readConnView(this.#view, index * ConnView.size);
  }

  decodeAll(): ConnView[] {
    return Array.from({ length: this.count }, (_, index) => this.decode(index));
  }

  flags(index: number): number {
    return this.#words[index * STRIDE + FLAGS]!;
  }

  cookie(index: number): bigint {
    return this.#view.getBigUint64((index * STRIDE + COOKIE) * 4, true);
  }

  netns(index: number): bigint {
    return this.#view.getBigUint64((index * STRIDE + NETNS) * 4, true);
  }

  podsOf(index: number): readonly [source: number, destination: number] {
    const at = index * STRIDE;
    return [this.#words[at + SOURCE_POD]!, this.#words[at + DESTINATION_POD]!];
  }

  /** The places of the sockets that have these cookies. */
  indexesOf(cookies: ReadonlySet<bigint>): number[] {
    const wanted = new Set([...cookies].map((cookie) => Number(BigInt.asIntN(64, cookie))));
    const found: number[] = [];
    for (let index = 0; index < this.count; index++) {
      if (wanted.has(exact(this.#words, index * STRIDE + COOKIE))) found.push(index);
    }
    return found;
  }

  /**
   * The other end of each, -1 where it is not on this node. A client learns its server's cookie with its first message; the
   * server knows the client's from the start.
   */
  partners(): Int32Array {
    const words = this.#words;
    const partners = new Int32Array(this.count).fill(NONE);
    const places = new Map<number, number>();
    for (let index = 0; index < this.count; index++) {
      places.set(exact(words, index * STRIDE + COOKIE), index);
    }
    const pair = (side: number): void => {
      for (let index = 0; index < this.count; index++) {
        if ((this.flags(index) & ConnFlags.CLIENT) !== side || partners[index] !== NONE) continue;
        const peer = exact(words, index * STRIDE + PEER_COOKIE);
        const place = peer === 0 ? undefined : places.get(peer);
        if (place === undefined || partners[place] !== NONE) continue;
        partners[index] = place;
        partners[place] = index;
      }
    };
    pair(0);
    pair(ConnFlags.CLIENT);
    return partners;
  }

  kindHash(index: number): number {
    const words = this.#words;
    const at = index * STRIDE;
    let hash = this.#kindFlags(at) ^ this.#servicePort(at);
    for (let i = 0; i < HASHED_WORDS.length; i++) {
      hash = Math.imul(hash ^ words[at + HASHED_WORDS[i]!]!, FNV_PRIME);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  /** Policy says the same of both. */
  sameKind(index: number, other: number): boolean {
    const words = this.#words;
    const at = index * STRIDE;
    const from = other * STRIDE;
    for (let i = 0; i < KIND_WORDS.length; i++) {
      const word = KIND_WORDS[i]!;
      if (words[at + word] !== words[from + word]) return false;
    }
    return (
      this.#servicePort(at) === this.#servicePort(from) &&
      this.#kindFlags(at) === this.#kindFlags(from)
    );
  }

  #kindFlags(at: number): number {
    const words = this.#words;
    let flags = words[at + FLAGS]! & KIND_FLAGS;
    if (words[at + DIALLED_AND_CLIENT_PORT]! > 0xffff) flags |= HAS_CLIENT_PORT;
    if (words[at + KEY_NETNS]! !== 0 || words[at + KEY_NETNS + 1]! !== 0) flags |= WITHIN_POD;
    return flags;
  }

  #servicePort(at: number): number {
    const ports = this.#words[at + PORTS]!;
    return this.#words[at + FLAGS]! & ConnFlags.CLIENT ? ports >>> 16 : ports & 0xffff;
  }
}

/**
 * A cookie as a number that is no other cookie's: they are counted up from 1, and down from 2^64 where the counting itself
 * was interrupted.
 */
function exact(words: Uint32Array, at: number): number {
  return (words[at + 1]! | 0) * WORD + words[at]!;
}

/** One after the other, each as long as ours; `size` in each says how long its writer's was. */
function viewsIn(bytes: Uint8Array): Uint32Array {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts: number[] = [];
  let ours = bytes.byteOffset % 4 === 0;
  let at = 0;
  while (at + 8 <= bytes.length) {
    const size = header.getUint32(at + SIZE * 4, true);
    if (size < 8 || at + size > bytes.length) break;
    ours &&= size === ConnView.size;
    starts.push(at);
    at += size;
  }
  if (ours) return new Uint32Array(bytes.buffer, bytes.byteOffset, starts.length * STRIDE);
  const copy = new Uint8Array(starts.length * ConnView.size);
  starts.forEach((start, index) => {
    const size = Math.min(header.getUint32(start + SIZE * 4, true), ConnView.size);
    copy.set(bytes.subarray(start, start + size), index * ConnView.size);
  });
  return new Uint32Array(copy.buffer);
}

function renumber(words: Uint32Array, identityOf: (pod: number) => number): void {
  for (let at = 0; at < words.length; at += STRIDE) {
    words[at + SOURCE_IDENTITY] = identityOf(words[at + SOURCE_POD]!);
    words[at + DESTINATION_IDENTITY] = identityOf(words[at + DESTINATION_POD]!);
    words[at + SERVICE] = 0;
  }
}

function join(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  const seen = new Set<number>();
  let end = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += STRIDE) {
      const cookie = exact(part, at + COOKIE);
      if (seen.has(cookie)) continue;
      seen.add(cookie);
      all.set(part.subarray(at, at + STRIDE), end);
      end += STRIDE;
    }
  }
  return all.subarray(0, end);
}

function word(field: string): number {
  return Math.floor(offsetOf('conn_view', field) / 4);
}

function wordsIn(field: string): number[] {
  return wordsOf('conn_view', field).map((at) => at / 4);
}
