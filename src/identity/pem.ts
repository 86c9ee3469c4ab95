/**
 * PEM armour (RFC 7468), read strictly: whole blocks, canonical base64, nothing but blank space between them.
 *
 * Explanatory text between blocks, which openssl writes with -text, is refused: what a reader skips it can be made to skip.
 */
export interface PemBlock {
  readonly label: string;
  readonly der: Buffer;
}

const BLOCK =
  /\s*-----BEGIN ([A-Z0-9 ]{1,64})-----\r?\n([A-Za-z0-9+/=\r\n]*)-----END \1-----(?=\s|$)/y;

/** undefined: not PEM throughout; an empty text has no blocks */
export function readPem(text: string): readonly PemBlock[] | undefined {
  const blocks: PemBlock[] = [];
  const rest = text.trimEnd();
  BLOCK.lastIndex = 0;
  while (BLOCK.lastIndex < rest.length) {
    const match = BLOCK.exec(rest);
    if (!match) return undefined;
    const [, label = '', body = ''] = match;
    const base64 = body.replaceAll(/[\r\n]/g, '');
    const der = Buffer.from(base64, 'base64');
    if (der.toString('base64') !== base64) return undefined;
    blocks.push({ label, der });
  }
  return blocks;
}

/** 64 characters a line, with a final line feed. */
export function writePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
