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

/** Throws on bytes that are no protobuf, and on nesting that is too deep. */
export type ScanUnknownFields = (type: protobuf.Type, bytes: Uint8Array) => UnknownField[];

/** Far above what Envoy's own messages nest; RBAC and JWT conditions nest as deep as their author likes. */
const MAX_DEPTH = 100;
/** More are no news, and a path costs memory. */
const MAX_FOUND = 100;
const ANY = '.google.protobuf.Any';
const WIRE_BYTES = 2;
const WIRE_END_GROUP = 4;
const ENTRY_KEY = (1 << 3) | WIRE_BYTES;
const ENTRY_VALUE = (2 << 3) | WIRE_BYTES;

/** What the walk asks of a message, without protobufjs's getters: its full names alone cost more than all the rest. */
interface Plan {
  readonly name: string;
  readonly fields: ReadonlyMap<number, FieldPlan>;
}

interface FieldPlan {
  readonly name: string;
  readonly isRepeated: boolean;
  readonly isMap: boolean;
  /** undefined: no message */
  readonly message: protobuf.Type | undefined;
  readonly isAny: boolean;
}

/** Parts of the path to where the walk is: a field's name, with an index or a map's key behind it. */
interface Step {
  readonly field: string;
  readonly at: number | string | undefined;
}

interface Walk {
  readonly reader: protobuf.Reader;
  readonly found: UnknownField[];
  readonly messages: string[];
  readonly steps: Step[];
}

interface Entry {
  readonly key: string;
  /** undefined: it has no value */
  readonly value: { readonly start: number; readonly end: number } | undefined;
}

/** Remembers a plan for every type it meets, and every name that stands in an Any. */
export function createScan(root: protobuf.Root): ScanUnknownFields {
  const plans = new Map<protobuf.Type, Plan>();
  const types = new Map<string, protobuf.Type | undefined>();

  function planOf(type: protobuf.Type): Plan {
    const known = plans.get(type);
    if (known !== undefined) return known;
    const plan = makePlan(type);
    plans.set(type, plan);
    return plan;
  }

  /** Only names of ours are kept: those of others are without number. */
  function typeOf(typeUrl: string): protobuf.Type | undefined {
    const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    const known = types.get(name);
    if (known !== undefined || name === '') return known;
    const found = root.lookup(name, protobuf.Type, true);
    if (!(found instanceof protobuf.Type)) return undefined;
    types.set(name, found);
    return found;
  }

  function scanMessage(type: protobuf.Type, end: number, walk: Walk): void {
    const { reader, messages, steps } = walk;
    const plan = planOf(type);
    if (messages.length >= MAX_DEPTH) throw failure(walk, 'is nested too deeply');
    messages.push(plan.name);
    let seen: Map<number, number> | undefined;
    while (reader.pos < end) {
      const tag = reader.uint32();
      const number = tag >>> 3;
      const wire = tag & 7;
      if (wire === WIRE_END_GROUP) throw failure(walk, 'ends a group that was not begun');
      const field = plan.fields.get(number);
      if (field === undefined) report(walk, number);
      if (field?.message === undefined || wire !== WIRE_BYTES) {
        reader.skipType(wire);
        continue;
      }
      const stop = endOf(walk, end);
      const index = field.isRepeated ? (seen?.get(number) ?? 0) : undefined;
      if (index !== undefined) (seen ??= new Map()).set(number, index + 1);
      if (field.isMap) {
        const { key, value } = readEntry(walk, stop);
        if (value !== undefined) {
          reader.pos = value.start;
          steps.push({ field: field.name, at: key });
          scanValue(field, field.message, value.end, walk);
          steps.pop();
        }
      } else {
        steps.push({ field: field.name, at: index });
        scanValue(field, field.message, stop, walk);
        steps.pop();
      }
      reader.pos = stop;
    }
    if (reader.pos !== end) throw failure(walk, 'has a field that goes past its end');
    messages.pop();
  }

  /** What is in an Any of a type we do not know is for the reader of that field to judge. */
  function scanValue(field: FieldPlan, message: protobuf.Type, end: number, walk: Walk): void {
    if (!field.isAny) {
      scanMessage(message, end, walk);
      return;
    }
    const { key: typeUrl, value } = readEntry(walk, end);
    const type = typeOf(typeUrl);
    if (value === undefined || type === undefined) return;
    walk.reader.pos = value.start;
    scanMessage(type, value.end, walk);
  }

  return (type, bytes) => {
    const reader = protobuf.Reader.create(bytes);
    const walk: Walk = { reader, found: [], messages: [], steps: [] };
    scanMessage(type, bytes.length, walk);
    return walk.found;
  };
}

function makePlan(type: protobuf.Type): Plan {
  const fields = type.fieldsArray.map((field): [number, FieldPlan] => {
    const message = field.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined;
    const isMap = field instanceof protobuf.MapField;
    const isAny = message?.fullName === ANY;
    return [
      field.id,
      { name: field.name, isRepeated: field.repeated && !isMap, isMap, message, isAny },
    ];
  });
  return { name: type.fullName.slice(1), fields: new Map(fields) };
}

/** A text in field 1 and bytes in field 2: the shape of an Any, and of a map's entry with a text for its key. */
function readEntry(walk: Walk, end: number): Entry {
  const { reader } = walk;
  let key = '';
  let value: Entry['value'];
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (tag === ENTRY_KEY) key = reader.string();
    else if (tag === ENTRY_VALUE) {
      const stop = endOf(walk, end);
      value = { start: reader.pos, end: stop };
      reader.pos = stop;
    } else reader.skipType(tag & 7);
  }
  return { key, value };
}

/** Reads a length, and says where what it counts ends. */
function endOf(walk: Walk, end: number): number {
  const length = walk.reader.uint32();
  const stop = walk.reader.pos + length;
  if (stop > end) throw failure(walk, 'has a field that goes past its end');
  return stop;
}

function report({ found, messages, steps }: Walk, number: number): void {
  if (found.length >= MAX_FOUND) return;
  const path = [...steps.map(textOf), `#${number}`].join('.');
  found.push({ path, messages: [...messages], number });
}

function failure({ steps }: Walk, what: string): Error {
  return new Error(`${steps.map(textOf).join('.') || 'message'}: ${what}`);
}

function textOf({ field, at }: Step): string {
  if (at === undefined) return field;
  return typeof at === 'string' ? `${field}["${at}"]` : `${field}[${at}]`;
}
