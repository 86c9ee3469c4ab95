/** Header and trailer fields, and what makes a message malformed (RFC 9113, 8.1 to 8.3 and 8.5). */

/** name, value, name, value, …: names in lower case, bytes as latin1 */
export type FieldList = readonly string[];

/** The value of the first field of that name. */
export function fieldValue(fields: FieldList, name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === name) return fields[index + 1];
  }
  return undefined;
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9110, 5.5 and RFC 9113, 8.2.1: no control characters but a tab, no blank at either end */
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);
const REQUEST_PSEUDO = new Set([':method', ':scheme', ':authority', ':path']);
const RESPONSE_PSEUDO = new Set([':status']);
const NO_PSEUDO = new Set<string>();
const STATUS = /^[1-9][0-9][0-9]$/;

/** Why the fields are no request; undefined: they are one. */
export function requestFault(fields: FieldList): string | undefined {
  const fault = fieldsFault(fields, REQUEST_PSEUDO);
  if (fault !== undefined) return fault;
  const method = fieldValue(fields, ':method');
  if (!method) return 'no :method';
  const path = fieldValue(fields, ':path');
  const scheme = fieldValue(fields, ':scheme');
  if (method === 'CONNECT') {
    if (!fieldValue(fields, ':authority')) return 'CONNECT without :authority';
    return path === undefined && scheme === undefined ? undefined : 'CONNECT with :scheme or :path';
  }
  return path && scheme ? undefined : 'no :path or :scheme';
}

/** Why the fields are no response. */
export function responseFault(fields: FieldList): string | undefined {
  const fault = fieldsFault(fields, RESPONSE_PSEUDO);
  if (fault !== undefined) return fault;
  return STATUS.test(fieldValue(fields, ':status') ?? '') ? undefined : 'no :status';
}

export function trailersFault(fields: FieldList): string | undefined {
  return fieldsFault(fields, NO_PSEUDO);
}

function fieldsFault(fields: FieldList, pseudo: ReadonlySet<string>): string | undefined {
  const seen = new Set<string>();
  let regular = false;
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? '';
    const value = fields[index + 1] ?? '';
    if (!VALUE.test(value)) return 'forbidden character in a field value';
    if (name.startsWith(':')) {
      if (regular) return 'pseudo-header field after others';
      if (!pseudo.has(name)) return 'unknown pseudo-header field';
      if (seen.has(name)) return 'pseudo-header field twice';
      seen.add(name);
      continue;
    }
    regular = true;
    if (!NAME.test(name)) return 'forbidden character in a field name';
    if (CONNECTION_SPECIFIC.has(name)) return 'field of an HTTP/1 connection';
    if (name === 'te' && value !== 'trailers') return 'te other than trailers';
  }
  return undefined;
}
