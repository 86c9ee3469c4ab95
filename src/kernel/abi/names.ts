/**
 * How names of bpf/abi.h are written in TypeScript: flow_key → FlowKey, flowKeyCodec, FLOW_KEY_SIZE; born_ns → bornNs.
 */

/** Structs whose own name would hide a global type of TypeScript. */
const TYPE_NAMES = new Map([['record', 'ProvenanceRecord']]);

export function typeName(struct: string): string {
  return TYPE_NAMES.get(struct) ?? pascal(struct);
}

export function constant(struct: string): string {
  return typeName(struct)
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, '_')
    .toUpperCase();
}

export function pascal(name: string): string {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function camel(name: string): string {
  return name.replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());
}

export function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
