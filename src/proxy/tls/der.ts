/** DER (X.690), as much of it as certificates and revocation lists need: definite lengths, low tag numbers. */

export interface DerValue {
  readonly tag: number;
  /** tag, length and content */
  readonly whole: Buffer;
  readonly content: Buffer;
}

export const Tag = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  OID: 0x06,
  SEQUENCE: 0x30,
  /** context-specific, constructed: [0], [3] */
  CONTEXT_0: 0xa0,
  CONTEXT_3: 0xa3,
  /** context-specific, primitive: a URI among the general names */
  URI: 0x86,
} as const;

/** The values that follow one another in `bytes`. @throws Error when they are not whole DER */
export function derValues(bytes: Buffer): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    const value = derValue(bytes.subarray(at));
    values.push(value);
    at += value.whole.length;
  }
  return values;
}

/** The first value in `bytes`. */
export function derValue(bytes: Buffer): DerValue {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new Error('no DER');
  let length = first;
  let head = 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4 || bytes.length < 2 + count) throw new Error('no DER length');
    length = bytes.readUIntBE(2, count);
    head += count;
  }
  if (bytes.length < head + length) throw new Error('DER is cut off');
  return {
    tag,
    whole: bytes.subarray(0, head + length),
    content: bytes.subarray(head, head + length),
  };
}

/** The parts of a SEQUENCE. */
export function derSequence(value: DerValue | undefined): DerValue[] {
  if (value?.tag !== Tag.SEQUENCE) throw new Error('no DER SEQUENCE');
  return derValues(value.content);
}

/** An INTEGER as lower-case hex, two digits a byte, without the sign's zero byte. */
export function derSerial(value: DerValue | undefined): string {
  if (value?.tag !== Tag.INTEGER) throw new Error('no DER INTEGER');
  return value.content.toString('hex').replace(/^(?:00)+(?=..)/, '');
}
