/**
 * What the headers of an ELF file say about its use of splice(2): imported symbols, Go, build id.
 *
 * Pure over a reader of byte ranges, because the files belong to pods and may be hostile: every offset is checked
 * against the file's size, every table has a limit, and anything odd makes the whole answer "unreadable".
 */

/** Returns exactly `length` bytes at `offset`, or undefined when the file has no such range. */
export type ReadRange = (offset: number, length: number) => Buffer | undefined;

export interface ElfFacts {
  /** `splice` is an undefined dynamic symbol, or any symbol of the static table */
  readonly importsSplice: boolean;
  readonly go: boolean;
  /** hex of the GNU build id, '' when there is none */
  readonly buildId: string;
}

interface Section {
  readonly name: number;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const MAX_SECTIONS = 4096;
const MAX_TABLE_BYTES = 16 << 20;
const SHT_SYMTAB = 2;
const SHT_NOTE = 7;
const SHT_DYNSYM = 11;
const NOTE_BUILD_ID = 3;
const SHN_UNDEF = 0;
const GO_SECTIONS = new Set(['.go.buildinfo', '.gopclntab', '.note.go.buildid']);

/** undefined: no 64-bit little-endian ELF with a section table, or a damaged one. */
export function readElf(read: ReadRange): ElfFacts | undefined {
  const header = read(0, HEADER_BYTES);
  if (header === undefined || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
  if (header[4] !== 2 || header[5] !== 1) return undefined;
  const sections = readSections(read, header);
  const names = sections?.[header.readUInt16LE(0x3e)];
  if (sections === undefined || names === undefined) return undefined;
  const nameTable = readTable(read, names);
  if (nameTable === undefined) return undefined;

  let importsSplice = false;
  let go = false;
  let buildId = '';
  for (const section of sections) {
    const name = textAt(nameTable, section.name);
    if (GO_SECTIONS.has(name)) go = true;
    if (section.type === SHT_NOTE && name === '.note.gnu.build-id') {
      buildId = readBuildId(readTable(read, section));
    }
    if (section.type === SHT_DYNSYM || section.type === SHT_SYMTAB) {
      const found = hasSplice(read, sections, section);
      if (found === undefined) return undefined;
      importsSplice ||= found;
    }
  }
  return { importsSplice, go, buildId };
}

function readSections(read: ReadRange, header: Buffer): Section[] | undefined {
  const offset = toNumber(header.readBigUInt64LE(0x28));
  const count = header.readUInt16LE(0x3c);
  if (header.readUInt16LE(0x3a) !== SECTION_BYTES || count === 0 || count > MAX_SECTIONS) {
    return undefined;
  }
  const table = read(offset, count * SECTION_BYTES);
  if (table === undefined) return undefined;
  return Array.from({ length: count }, (_, index) => {
    const at = index * SECTION_BYTES;
    return {
      name: table.readUInt32LE(at),
      type: table.readUInt32LE(at + 4),
      offset: toNumber(table.readBigUInt64LE(at + 24)),
      size: toNumber(table.readBigUInt64LE(at + 32)),
      link: table.readUInt32LE(at + 40),
    };
  });
}

function readTable(read: ReadRange, section: Section): Buffer | undefined {
  return section.size > MAX_TABLE_BYTES ? undefined : read(section.offset, section.size);
}

function hasSplice(
  read: ReadRange,
  sections: readonly Section[],
  section: Section,
): boolean | undefined {
  const strings = sections[section.link];
  const dynamic = section.type === SHT_DYNSYM;
  if (!dynamic && section.size > MAX_TABLE_BYTES) return false; // debug builds: the dynamic table decides
  const symbols = readTable(read, section);
  const text = strings === undefined ? undefined : readTable(read, strings);
  if (symbols === undefined || text === undefined) return dynamic ? undefined : false;
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    if (dynamic && symbols.readUInt16LE(at + 6) !== SHN_UNDEF) continue;
    // names share tails ("vmsplice" ends with it), so the table is read by offset, not searched
    if (isSplice(text, symbols.readUInt32LE(at))) return true;
  }
  return false;
}

const SPLICE = Buffer.from('splice\0');

function isSplice(text: Buffer, at: number): boolean {
  return (
    at + SPLICE.length <= text.length &&
    text.compare(SPLICE, 0, SPLICE.length, at, at + SPLICE.length) === 0
  );
}

function readBuildId(note: Buffer | undefined): string {
  if (note === undefined || note.length < 16 || note.readUInt32LE(8) !== NOTE_BUILD_ID) return '';
  const length = note.readUInt32LE(4);
  return note.readUInt32LE(0) === 4 && 16 + length <= note.length
    ? note.toString('hex', 16, 16 + length)
    : '';
}

function textAt(table: Buffer, offset: number): string {
  const end = table.indexOf(0, offset);
  return offset >= table.length || end < 0 ? '' : table.toString('latin1', offset, end);
}

/** Offsets beyond 2^53 fail the reader's range check all the same. */
function toNumber(value: bigint): number {
  return Number(value);
}
