/**
 * Questions to DNS servers, with the lives of the answers: node:dns tells no TTL of SRV records, and does not tell a name
 * that does not exist from a server that cannot say.
 *
 * UDP first; an answer that was cut is asked for again over TCP.  A datagram counts only when it comes from the server that
 * was asked, to a port of its own, with the random id and the question that were sent.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { decode, encode, type Answer, type Packet } from 'dns-packet';

export type QuestionType = 'SRV' | 'A' | 'AAAA';

export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

export type DnsAnswer =
  /** no answers: the name exists and has no such record */
  | { readonly kind: 'records'; readonly answers: readonly Answer[]; readonly ttlSeconds: number }
  | { readonly kind: 'no-such-name'; readonly ttlSeconds: number };

/** No server could say. */
export class DnsError extends Error {
  override readonly name = 'DnsError';
}

const TRY_MS = 2000;
const TRIES = 2;
const MAX_TCP_BYTES = 65_535;
const NOERROR = 0;
const NXDOMAIN = 3;
/** For answers without a record that would say (RFC 2308 leaves it to the SOA). */
const DEFAULT_NEGATIVE_SECONDS = 30;
const MAX_ALIASES = 8;

export class DnsResolver {
  readonly #servers: readonly DnsServer[];
  readonly #tryMs: number;

  constructor(servers: readonly DnsServer[], tryMs = TRY_MS) {
    this.#servers = servers;
    this.#tryMs = tryMs;
  }

  /** Every server is asked twice at most; throws DnsError. */
  async ask(name: string, type: QuestionType, signal: AbortSignal): Promise<DnsAnswer> {
    let last = 'there is no server to ask';
    for (let i = 0; i < TRIES; i++) {
      for (const server of this.#servers) {
        signal.throwIfAborted();
        try {
          return read(await this.#exchange(server, name, type, signal), name, type);
        } catch (error) {
          last = `${server.address}: ${(error as Error).message}`;
        }
      }
    }
    throw new DnsError(last);
  }

  async #exchange(
    server: DnsServer,
    name: string,
    type: QuestionType,
    signal: AbortSignal,
  ): Promise<Packet> {
    const id = randomInt(0x10000);
    const query = encode({
      type: 'query',
      id,
      flags: 0x0100, // recursion desired
      questions: [{ type, name, class: 'IN' }],
    });
    const isAnswer = (packet: Packet): boolean =>
      packet.type === 'response' &&
      packet.id === id &&
      packet.questions?.length === 1 &&
      packet.questions[0]!.type === type &&
      packet.questions[0]!.name.toLowerCase() === name;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#tryMs)]);
    const packet = await askUdp(server, query, isAnswer, limit);
    return packet.flag_tc ? askTcp(server, query, isAnswer, limit) : packet;
  }
}

type DecodedPacket = Packet & { readonly rcode?: string; readonly flag_tc?: boolean };

function askUdp(
  { address, port }: DnsServer,
  query: Buffer,
  isAnswer: (packet: Packet) => boolean,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    // A socket of its own per question: a random port, and connected, so that others cannot answer.
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    let ended = false;
    const end = (error?: Error, packet?: DecodedPacket): void => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', abort);
      socket.close();
      if (packet !== undefined) resolve(packet);
      else reject(error ?? new Error('no answer'));
    };
    const abort = (): void => end(new Error('no answer in time'));
    signal.addEventListener('abort', abort);
    socket.on('error', end);
    socket.on('message', (message) => {
      const packet = decoded(message);
      // Noise and forgeries are passed over: the right answer may still come.
      if (packet !== undefined && isAnswer(packet)) end(undefined, packet);
    });
    // Refusals of what is sent come as 'error'.
    socket.on('connect', () => {
      if (!ended) socket.send(query);
    });
    socket.connect(port, address);
    if (signal.aborted) abort();
  });
}

async function askTcp(
  { address, port }: DnsServer,
  query: Buffer,
  isAnswer: (packet: Packet) => boolean,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  const socket = connect({ port, host: address, signal });
  try {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.end(Buffer.concat([length, query]));
    let received = Buffer.alloc(0);
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      received = Buffer.concat([received, chunk]);
      if (received.length > MAX_TCP_BYTES + 2) break;
      if (received.length < 2 || received.length < 2 + received.readUInt16BE()) continue;
      const packet = decoded(received.subarray(2, 2 + received.readUInt16BE()));
      if (packet !== undefined && isAnswer(packet)) return packet;
      break;
    }
    throw new Error('the answer over TCP is none');
  } finally {
    socket.destroy();
  }
}

function decoded(message: Buffer): DecodedPacket | undefined {
  try {
    return decode(message) as DecodedPacket;
  } catch {
    return undefined;
  }
}

/** Throws for every answer that does not say whether the name exists. */
function read(packet: DecodedPacket, name: string, type: QuestionType): DnsAnswer {
  const code = (packet.flags ?? 0) & 0xf;
  if (code === NXDOMAIN) return { kind: 'no-such-name', ttlSeconds: negativeTtl(packet) };
  if (code !== NOERROR) throw new Error(packet.rcode ?? `code ${code}`);
  const names = new Set([name]);
  const aliases: Answer[] = [];
  for (let i = 0; i < MAX_ALIASES; i++) {
    const found = (packet.answers ?? []).find(
      (answer) =>
        answer.type === 'CNAME' && names.has(lower(answer.name)) && !aliases.includes(answer),
    );
    if (found?.type !== 'CNAME') break;
    aliases.push(found);
    names.add(lower(found.data));
  }
  const answers = (packet.answers ?? []).filter(
    (answer) => answer.type === type && names.has(lower(answer.name)),
  );
  const ttls = [...answers, ...aliases].map((answer) => ('ttl' in answer ? (answer.ttl ?? 0) : 0));
  const ttlSeconds = answers.length > 0 ? Math.min(...ttls) : negativeTtl(packet);
  return { kind: 'records', answers, ttlSeconds };
}

function negativeTtl({ authorities = [] }: Packet): number {
  for (const answer of authorities) {
    if (answer.type !== 'SOA') continue;
    return Math.min(answer.ttl ?? DEFAULT_NEGATIVE_SECONDS, answer.data.minimum ?? Infinity);
  }
  return DEFAULT_NEGATIVE_SECONDS;
}

function lower(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
