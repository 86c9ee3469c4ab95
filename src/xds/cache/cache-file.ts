/**
 * The file itself, versioned and checked:
 *
 *   "podwire xds cache 1\n"   u64 Unix time in ms   { u8 type, u32 length, bytes }…   SHA-256 of all before it
 *
 * Numbers are big-endian.  It decides who may talk to whom, so that a file that another user owns or may write to is not
 * read, and one that is not whole is worth nothing.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';

export interface CacheRecord {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export interface CacheContent {
  /** Unix time */
  readonly savedAtMs: number;
  readonly records: readonly CacheRecord[];
}

/** The file is there and is not to be used. */
export class CacheFileError extends Error {}

const MAGIC = 'podwire xds cache ';
const HEADER = Buffer.from(`${MAGIC}1\n`, 'latin1');
const TIME_BYTES = 8;
const RECORD_HEADER_BYTES = 5;
const DIGEST_BYTES = 32;
const MAX_BYTES = 1024 * 1024 * 1024;
/** encoded in one go, some milliseconds; then other work gets its turn while it is written */
const CHUNK_BYTES = 256 * 1024;

export async function writeCacheFile(
  path: string,
  savedAtMs: number,
  records: Iterable<CacheRecord>,
): Promise<void> {
  // one name, so that a crash leaves no more than one behind; the agent's lock keeps a second writer away
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    await writeContent(file, savedAtMs, records);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
}

/** undefined: there is no file.  Throws CacheFileError when it cannot be used. */
export async function readCacheFile(path: string): Promise<CacheContent | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new CacheFileError(`it cannot be opened (${code})`, { cause: error });
  }
  try {
    await requireOwn(file);
    return parse(await file.readFile());
  } finally {
    await file.close();
  }
}

async function writeContent(
  file: FileHandle,
  savedAtMs: number,
  records: Iterable<CacheRecord>,
): Promise<void> {
  const hash = createHash('sha256');
  let parts: Uint8Array[] = [];
  let bytes = 0;
  const add = (part: Uint8Array): void => {
    parts.push(part);
    bytes += part.length;
  };
  const flush = async (): Promise<void> => {
    const chunk = Buffer.concat(parts);
    hash.update(chunk);
    parts = [];
    bytes = 0;
    await file.appendFile(chunk);
  };
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(savedAtMs));
  add(HEADER);
  add(time);
  for (const record of records) {
    const header = Buffer.alloc(RECORD_HEADER_BYTES);
    header.writeUInt8(record.type);
    header.writeUInt32BE(record.bytes.length, 1);
    add(header);
    add(record.bytes);
    if (bytes >= CHUNK_BYTES) await flush();
  }
  await flush();
  await file.appendFile(hash.digest());
}

async function requireOwn(file: FileHandle): Promise<void> {
  const stat = await file.stat();
  if (!stat.isFile()) throw new CacheFileError('it is no plain file');
  if (stat.uid !== process.geteuid?.()) {
    throw new CacheFileError(`it belongs to user ${stat.uid}, not to the agent's`);
  }
  if ((stat.mode & 0o022) !== 0) throw new CacheFileError('others may write to it');
  if (stat.size > MAX_BYTES) throw new CacheFileError(`it has ${stat.size} bytes`);
}

function parse(content: Buffer): CacheContent {
  const start = content.subarray(0, HEADER.length);
  if (!start.equals(HEADER)) {
    const known = start.subarray(0, MAGIC.length).toString('latin1') === MAGIC;
    throw new CacheFileError(
      known ? 'it has the format of another version of podwire' : 'it is no saved configuration',
    );
  }
  const end = content.length - DIGEST_BYTES;
  let at = HEADER.length + TIME_BYTES;
  if (end < at) throw new CacheFileError('it is cut short');
  const digest = createHash('sha256').update(content.subarray(0, end)).digest();
  if (!digest.equals(content.subarray(end))) {
    throw new CacheFileError('it is damaged or cut short (its checksum is another)');
  }
  const records: CacheRecord[] = [];
  while (at < end) {
    if (at + RECORD_HEADER_BYTES > end) throw new CacheFileError('a record is cut short');
    const type = content.readUInt8(at);
    const length = content.readUInt32BE(at + 1);
    at += RECORD_HEADER_BYTES;
    if (at + length > end) throw new CacheFileError('a record is cut short');
    records.push({ type, bytes: content.subarray(at, at + length) });
    at += length;
  }
  return { savedAtMs: Number(content.readBigUInt64BE(HEADER.length)), records };
}
