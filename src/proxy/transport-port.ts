/**
 * What the batched transport needs of the addon, injected by the composition root, and the numbers both agree on
 * (native/transport_core.cc).
 */
export interface TransportPort {
  openTransport(onEvents: (count: number) => void): NativeTransport;
  tlsContext(options: {
    server: boolean;
    certificateChain: string;
    privateKey: string;
    roots: string;
    crls?: string;
  }): object;
  closeFd(fd: number): void;
}

export interface NativeTransport {
  /** What was read, valid until the handler of the events returns; from `writeArena` on: room for what is written. */
  readonly arena: ArrayBuffer;
  readonly writeArena: number;
  /** so many bytes before each read belong to it, for a head that is built in place */
  readonly gap: number;
  /** four numbers an event: EventType, id, and two of its own */
  readonly events: Int32Array;
  /** [number of operations, bytes of the write arena in use, 0, 0], then four numbers each: OpType, id, and two of its own */
  readonly ops: Int32Array;
  /** by slot: 1 while the socket's queue is above the high-water mark */
  readonly blocked: Uint8Array;
  listen(fd: number): number;
  connect(fd: number, address: string, port: number): number;
  secure(id: number, context: object, accepted: readonly string[]): boolean;
  peer(id: number): NativeTlsPeer | undefined;
  flush(): void;
  close(): void;
}

export interface NativeTlsPeer {
  readonly spiffe: string;
  readonly spiffeIds: readonly string[];
  readonly serial: string;
  readonly issuerHash: string;
  readonly notAfter: number;
}

export const OPS_HEAD = 4;
/** an id is generation << 17 | slot */
export const SLOT_MASK = (1 << 17) - 1;

export const EventType = {
  /** listener, id, offset of "FD LOCAL PORT REMOTE PORT"; its length is in the upper bits of the type */
  ACCEPTED: 1,
  /** id, offset, length */
  DATA: 2,
  END: 3,
  DRAIN: 4,
  /** id, errno (0: both directions had ended), the peer's TLS alert; the id is no more */
  CLOSED: 5,
  /** for TLS: the handshake begins */
  CONNECTED: 6,
  SECURED: 7,
  /** id, place in TLS_REFUSALS; the socket goes on discarding until it is closed */
  REFUSED: 8,
  /** listener, errno; it rests until RESUME */
  ACCEPT_FAILED: 9,
} as const;

export const OpType = {
  /** id, offset, length */
  WRITE: 1,
  HALF_CLOSE: 2,
  /** id, 1: reset */
  CLOSE: 3,
  PAUSE: 4,
  /** the first one starts the reading */
  RESUME: 5,
} as const;
