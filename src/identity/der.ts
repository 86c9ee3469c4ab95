/**
 * DER (X.690), read one element at a time: as much as finding a name in a certificate takes.
 */
export interface DerElement {
  readonly tag: number;
  /** with its head */
  readonly whole: Buffer;
  readonly content: Buffer;
}

/** The first one. Throws RangeError when there is no whole one; tags above 30 are not known. */
export function derElement(der: Buffer): DerElement {
  const [tag, first] = der;
  if (tag === undefined || first === undefined) throw new RangeError('DER ends too soon');
  const bytes = first < 0x80 ? 0 : first - 0x80;
  if (first === 0x80 || bytes > 4 || der.length < 2 + bytes) throw new RangeError('no DER');
  const length = bytes === 0 ? first : der.readUIntBE(2, bytes);
  const end = 2 + bytes + length;
  if (end > der.length) throw new RangeError('DER ends too soon');
  return { tag, whole: der.subarray(0, end), content: der.subarray(2 + bytes, end) };
}

/** The first `max` of those that follow one another. Throws RangeError. */
export function derElements(der: Buffer, max = Infinity): DerElement[] {
  const found: DerElement[] = [];
  for (let rest = der; rest.length > 0 && found.length < max;) {
    const next = derElement(rest);
    found.push(next);
    rest = rest.subarray(next.whole.length);
  }
  return found;
}
