/**
 * Fields in a message's bytes that our trimmed protos leave out.
 *
 * The decoder skips them, so without this walk nobody would know that a resource says more than podwire does.  One pass
 * over the bytes; it goes into sub-messages, maps and Any of types we know, and stops at a bounded depth and number.
 */
import protobuf from 'protobufjs';

export interface UnknownField {
  /** "filter_chains[0].filters[1].typed_config.#44": the last part is the field's number, for its name is not known */
  readonly path: string;
  /** full names of the messages from the root to the one that has the field */
  readonly messages: readonly string[];
  readonly number: number;
}

/** Far above what Envoy's own messages nest; RBAC and JWT conditions nest as deep as their author likes. */
const MAX_DEPTH = 100;
/** More are no news, and a path costs memory. */
const MAX_FOUND = 100;
const ANY = '.google.protobuf.Any';
const WIRE_BYTES = 2;
const WIRE_END_GROUP = 4;

interface Walk {
  readonly found: UnknownField[];
  readonly messages: string[];
}

/** Throws on bytes that are no protobuf, and on nesting that is too deep. */
export function scanUnknownFields(type: protobuf.Type, bytes: Uint8Array): UnknownField[] {
  const walk: Walk = { found: [], messages: [] };
  scanMessage(type, protobuf.Reader.create(bytes), bytes.length, '', walk);
  return walk.found;
}

function scanMessage(
  type: protobuf.Type,
  reader: protobuf.Reader,
  end: number,
  path: string,
  walk: Walk,
): void {
  if (walk.messages.length >= MAX_DEPTH) throw new Error(`${path}: is nested too deeply`);
  if (end > reader.len) throw new Error(`${path}: ends before its length`);
  walk.messages.push(type.fullName.slice(1));
  const seen = new Map<number, number>();
  while (reader.pos < end) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    const wire = tag & 7;
    if (wire === WIRE_END_GROUP) throw new Error(`${path}: has a group that was not begun`);
    const field = type.fieldsById[number];
    if (field === undefined) {
      // A field of an end group kind or of length past the end throws here.
      reader.skipType(wire);
      report(walk, join(path, `#${number}`), number);
      continue;
    }
    const message = messageOf(field);
    if (message === undefined || wire !== WIRE_BYTES) {
      reader.skipType(wire);
      continue;
    }
    const index = seen.get(number) ?? 0;
    seen.set(number, index + 1);
    const length = reader.uint32();
    const stop = reader.pos + length;
    if (stop > end) throw new Error(`${path}: ends before its length`);
    const at = join(path, field.repeated ? `${field.name}[${index}]` : field.name);
    if (field instanceof protobuf.MapField) scanEntry(message, reader, stop, at, walk);
    else if (message.fullName === ANY) scanAny(type.root, reader, stop, at, walk);
    else scanMessage(message, reader, stop, at, walk);
    reader.pos = stop;
  }
  if (reader.pos !== end) throw new Error(`${path}: a field goes past its end`);
  walk.messages.pop();
}

/** A map's entry: field 1 the key, field 2 the value, here always a message. */
function scanEntry(
  value: protobuf.Type,
  reader: protobuf.Reader,
  end: number,
  path: string,
  walk: Walk,
): void {
  let key = '';
  let start = 0;
  let length = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === ((1 << 3) | WIRE_BYTES)) key = reader.string();
    else if (tag === ((2 << 3) | WIRE_BYTES)) {
      length = reader.uint32();
      start = reader.pos;
      reader.skip(length);
    } else reader.skipType(tag & 7);
  }
  if (start === 0) return;
  reader.pos = start;
  const at = `${path}["${key}"]`;
  if (value.fullName === ANY) scanAny(value.root, reader, start + length, at, walk);
  else scanMessage(value, reader, start + length, at, walk);
}

/** What is in an Any of a type we do not know is for the reader of that field to judge. */
function scanAny(
  root: protobuf.Root,
  reader: protobuf.Reader,
  end: number,
  path: string,
  walk: Walk,
): void {
  let url = '';
  let start = 0;
  let length = 0;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === ((1 << 3) | WIRE_BYTES)) url = reader.string();
    else if (tag === ((2 << 3) | WIRE_BYTES)) {
      length = reader.uint32();
      start = reader.pos;
      reader.skip(length);
    } else reader.skipType(tag & 7);
  }
  const name = url.slice(url.lastIndexOf('/') + 1);
  const known = name === '' ? null : root.lookup(name, protobuf.Type, true);
  if (start === 0 || !(known instanceof protobuf.Type)) return;
  reader.pos = start;
  scanMessage(known, reader, start + length, path, walk);
}

function messageOf(field: protobuf.Field): protobuf.Type | undefined {
  return field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
}

function join(path: string, part: string): string {
  return path === '' ? part : `${path}.${part}`;
}

function report(walk: Walk, path: string, number: number): void {
  if (walk.found.length < MAX_FOUND) {
    walk.found.push({ path, messages: [...walk.messages], number });
  }
}
