/**
 * Protobuf bytes by hand, for messages that no codec of ours would write.
 */

/** A length-delimited field. */
export function field(number: number, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([base128((number << 3) | 2), base128(body.length), body]);
}

export function varint(number: number, value: number): Buffer {
  return Buffer.concat([base128(number << 3), base128(value)]);
}

export function message(...fields: Buffer[]): Buffer {
  return Buffer.concat(fields);
}

export function base128(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}
