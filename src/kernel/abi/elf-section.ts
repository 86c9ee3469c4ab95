/**
 * One section of an ELF file by its name: enough to take .BTF out of a BPF object without native code.  Every offset
 * is checked against the file's size, so a truncated or foreign file is a clear error.
 */

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const CLASS_64 = 2;
const DATA_LITTLE = 1;
const SHT_NOBITS = 8;

export class ElfError extends Error {
  override readonly name = 'ElfError';
}

interface Section {
  readonly name: number;
  readonly bytes: Uint8Array;
}

/** A view on `file`, or undefined when it has no section of that name. */
export function elfSection(file: Uint8Array, name: string): Uint8Array | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < HEADER_BYTES || view.getUint32(0) !== 0x7f454c46) {
    throw new ElfError('no ELF file');
  }
  if (file[4] !== CLASS_64 || file[5] !== DATA_LITTLE) {
    throw new ElfError('no 64-bit little-endian ELF file');
  }
  const table = view.getBigUint64(0x28, true);
  const entryBytes = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  if (entryBytes !== SECTION_BYTES) {
    throw new ElfError(`section headers have ${entryBytes} bytes instead of ${SECTION_BYTES}`);
  }
  const headers = range(file, table, BigInt(count * SECTION_BYTES), 'the section table');
  const read = (index: number): Section | undefined => {
    if (index >= count) return undefined;
    const header = new DataView(headers.buffer, headers.byteOffset + index * SECTION_BYTES, 64);
    const empty = header.getUint32(4, true) === SHT_NOBITS;
    const size = empty ? 0n : header.getBigUint64(0x20, true);
    return {
      name: header.getUint32(0, true),
      bytes: range(file, header.getBigUint64(0x18, true), size, `section ${index}`),
    };
  };

  const names = read(view.getUint16(0x3e, true));
  if (names === undefined) throw new ElfError('the table of section names is missing');
  for (let index = 1; index < count; index++) {
    const section = read(index);
    if (section !== undefined && isNamed(names.bytes, section.name, name)) return section.bytes;
  }
  return undefined;
}

function range(file: Uint8Array, offset: bigint, size: bigint, what: string): Uint8Array {
  if (size === 0n) return file.subarray(0, 0);
  if (offset + size > BigInt(file.length)) {
    throw new ElfError(`${what} ends at byte ${offset + size} of a file of ${file.length}`);
  }
  return file.subarray(Number(offset), Number(offset + size));
}

function isNamed(names: Uint8Array, offset: number, name: string): boolean {
  if (names[offset + name.length] !== 0) return false;
  for (let i = 0; i < name.length; i++) {
    if (names[offset + i] !== name.charCodeAt(i)) return false;
  }
  return true;
}
