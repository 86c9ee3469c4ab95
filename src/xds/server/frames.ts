/**
 * Responses put together from bytes that are encoded once per change.
 *
 * A resource is kept as the bytes of its field in a DeltaDiscoveryResponse: `resources {name, version, resource}`.  Written in
 * that order, they end with the very bytes of its field in a DiscoveryResponse, `resources {type_url, value}`, as both
 * fields have number 2.  So all streams of both protocols share one buffer, and a response is a concatenation: encoding the
 * messages anew for every stream costs a hundred times as much.
 */
import { hash } from 'node:crypto';

export interface Frame {
  /** hash of type and content: equal in all replicas, and after a restart */
  readonly version: string;
  readonly delta: Buffer;
  /** where in `delta` the field of a DiscoveryResponse begins */
  readonly sotwOffset: number;
}

export interface ResponseHead {
  /** system_version_info, version_info */
  readonly version: string;
  readonly typeUrl: string;
  readonly nonce: string;
}

const LENGTH_DELIMITED = 2;
/** field numbers; those of both responses are the same */
const RESPONSE = { version: 1, resources: 2, typeUrl: 4, nonce: 5, removed: 6 } as const;
const RESOURCE = { version: 1, resource: 2, name: 3 } as const;
const ANY = { typeUrl: 1, value: 2 } as const;
/** characters of base64: 72 bits */
const VERSION_LENGTH = 12;

export function frameOf(typeUrl: string, name: string, content: Uint8Array): Frame {
  const hashed = Buffer.concat([Buffer.from(`${typeUrl}\0`), content]);
  const version = hash('sha256', hashed, 'base64url').slice(0, VERSION_LENGTH);
  const any = fieldsSize(typeUrl) + bytesSize(content.length);
  return write(name, version, bytesSize(any), (buffer, start) => {
    let at = writeHead(buffer, start, RESOURCE.resource, any);
    at = writeText(buffer, at, ANY.typeUrl, typeUrl);
    at = writeHead(buffer, at, ANY.value, content.length);
    buffer.set(content, at);
  });
}

/** The same content under another name: what was asked for by an address is answered under it. */
export function frameUnder(name: string, { delta, sotwOffset, version }: Frame): Frame {
  const tail = delta.subarray(sotwOffset);
  return write(name, version, tail.length, (buffer, start) => buffer.set(tail, start));
}

export function sotwBytes({ delta, sotwOffset }: Frame): Buffer {
  return delta.subarray(sotwOffset);
}

export function bytesOf(frames: readonly Frame[]): number {
  let bytes = 0;
  for (const { delta } of frames) bytes += delta.length;
  return bytes;
}

/** DeltaDiscoveryResponse */
export function deltaResponse(
  head: ResponseHead,
  resources: readonly Buffer[],
  removed: readonly string[],
): Buffer {
  return Buffer.concat([...resources, tailOf(head, removed)]);
}

/** DiscoveryResponse */
export function sotwResponse(head: ResponseHead, resources: readonly Buffer[]): Buffer {
  return Buffer.concat([...resources, tailOf(head, [])]);
}

/** The order of fields means nothing to who reads them. */
function tailOf({ version, typeUrl, nonce }: ResponseHead, removed: readonly string[]): Buffer {
  let size = fieldsSize(version, typeUrl, nonce);
  for (const name of removed) size += fieldsSize(name);
  const buffer = Buffer.allocUnsafe(size);
  let at = writeText(buffer, 0, RESPONSE.version, version);
  at = writeText(buffer, at, RESPONSE.typeUrl, typeUrl);
  at = writeText(buffer, at, RESPONSE.nonce, nonce);
  for (const name of removed) at = writeText(buffer, at, RESPONSE.removed, name);
  return buffer;
}

function write(
  name: string,
  version: string,
  tailSize: number,
  writeTail: (buffer: Buffer, start: number) => void,
): Frame {
  const size = fieldsSize(name, version) + tailSize;
  // Not of the pool: a slab would live as long as the longest-lived of its resources.
  const delta = Buffer.allocUnsafeSlow(bytesSize(size));
  let at = writeHead(delta, 0, RESPONSE.resources, size);
  at = writeText(delta, at, RESOURCE.name, name);
  at = writeText(delta, at, RESOURCE.version, version);
  writeTail(delta, at);
  return { version, delta, sotwOffset: at };
}

function fieldsSize(...texts: readonly string[]): number {
  let size = 0;
  for (const text of texts) size += bytesSize(Buffer.byteLength(text));
  return size;
}

/** of a length-delimited field with a number below 16 */
function bytesSize(length: number): number {
  let size = 2 + length;
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) size++;
  return size;
}

function writeHead(buffer: Buffer, start: number, field: number, length: number): number {
  let at = start;
  buffer[at++] = (field << 3) | LENGTH_DELIMITED;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) buffer[at++] = (rest & 0x7f) | 0x80;
  buffer[at++] = rest;
  return at;
}

function writeText(buffer: Buffer, start: number, field: number, text: string): number {
  const at = writeHead(buffer, start, field, Buffer.byteLength(text));
  return at + buffer.write(text, at);
}
