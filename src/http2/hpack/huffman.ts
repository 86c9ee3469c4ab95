/**
 * The Huffman code of RFC 7541, appendix B, read four bits at a time.
 *
 * The code is canonical: codes of one length follow one another in the order of their symbols, so the lengths say all.
 */

/** of the symbols 0 to 255 and of EOS */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const EOS = 256;

/** Parts of a table entry: the next node, the symbol that was completed, and whether one was, or the code was wrong. */
const NODE = 0xff;
const SYMBOL_SHIFT = 8;
const HAS_SYMBOL = 1 << 16;
const WRONG = 1 << 17;

interface Automaton {
  /** [node * 16 + four bits] */
  readonly steps: Int32Array;
  /** 1 where a string may end: in at most 7 bits of the beginning of EOS */
  readonly mayEnd: Uint8Array;
}

const AUTOMATON = build();

/** The tree's inner nodes, 0 the root; a leaf is -1 - symbol. */
function tree(): Int32Array {
  const children = new Int32Array(512);
  let nodes = 1;
  let code = 0;
  let before = 0;
  const symbols = LENGTHS.map((length, symbol) => ({ length, symbol }));
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  for (const { length, symbol } of symbols) {
    code <<= length - before;
    before = length;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const at = node * 2 + ((code >>> bit) & 1);
      children[at] ||= nodes++;
      node = children[at] ?? 0;
    }
    children[node * 2 + (code & 1)] = -1 - symbol;
    code++;
  }
  return children;
}

function build(): Automaton {
  const children = tree();
  const nodes = children.length / 2;
  const steps = new Int32Array(nodes * 16);
  for (let start = 0; start < nodes; start++) {
    for (let bits = 0; bits < 16; bits++) steps[start * 16 + bits] = step(children, start, bits);
  }
  const mayEnd = new Uint8Array(nodes);
  for (let ones = 0, node = 0; ones < 8; ones++, node = children[node * 2 + 1] ?? 0)
    mayEnd[node] = 1;
  return { steps, mayEnd };
}

function step(children: Int32Array, start: number, bits: number): number {
  let node = start;
  let found = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node * 2 + ((bits >>> bit) & 1)] ?? 0;
    if (next >= 0) {
      node = next;
      continue;
    }
    const symbol = -1 - next;
    if (symbol === EOS) return WRONG;
    found = HAS_SYMBOL | (symbol << SYMBOL_SHIFT);
    node = 0;
  }
  return found | node;
}

/** The most that a text of `bytes` coded bytes can have: the shortest code has 5 bits. */
export function maxDecodedLength(bytes: number): number {
  return Math.floor((bytes * 8) / 5);
}

/** Decodes `from..to` into `into`, which must have room. Returns the length, or -1 for a wrong code, EOS or padding. */
export function decodeHuffman(bytes: Buffer, from: number, to: number, into: Buffer): number {
  const { steps, mayEnd } = AUTOMATON;
  let node = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    let entry = steps[node * 16 + (byte >>> 4)] ?? WRONG;
    if (entry & WRONG) return -1;
    if (entry & HAS_SYMBOL) into[length++] = entry >>> SYMBOL_SHIFT;
    entry = steps[(entry & NODE) * 16 + (byte & 15)] ?? WRONG;
    if (entry & WRONG) return -1;
    if (entry & HAS_SYMBOL) into[length++] = entry >>> SYMBOL_SHIFT;
    node = entry & NODE;
  }
  return mayEnd[node] === 1 ? length : -1;
}
