/**
 * How names of bpf/abi.h are written in TypeScript: flow_key → FlowKey; born_ns → bornNs.
 */

export function pascal(name: string): string {
  const text = camel(name);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function camel(name: string): string {
  return name.replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());
}
