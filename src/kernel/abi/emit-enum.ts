/**
 * Prints an enum of bpf/abi.h as a constant object, its union type and the names that logs and metrics show.
 */
import { camel, pascal } from './names.ts';
import type { Enum } from './schema.ts';

const WIDTH = 100;

export function emitEnum(shape: Enum): string {
  const name = pascal(shape.name);
  const members = shortNames(shape);
  const lines = members.map(({ short, value }) => `  ${short}: ${value},`);
  return `/** enum ${shape.name} */
export const ${name} = {
${lines.join('\n')}
} as const;
export type ${name} = (typeof ${name})[keyof typeof ${name}];
${emitNames(shape, members)}`;
}

interface Member {
  readonly short: string;
  readonly value: number;
}

/** Value → kebab-case name; a dense enum gets an array, one with two names for a value (limits) nothing. */
function emitNames(shape: Enum, members: readonly Member[]): string {
  const named = members.filter((member, i) => i < members.length - 1 || !isCount(shape, member));
  const text = (member: Member): string => `'${member.short.toLowerCase().replaceAll('_', '-')}'`;
  const list = `${camel(shape.name)}Names`;
  if (named.every((member, i) => member.value === i)) {
    return `export const ${list}: readonly string[] = [\n${fill(named.map(text))}];\n`;
  }
  if (new Set(named.map((member) => member.value)).size < named.length) return '';
  const entries = named.map((member) => `  ${member.value}: ${text(member)},\n`).join('');
  return `export const ${list}: { readonly [value: number]: string } = {\n${entries}};\n`;
}

/** The last member that only says how many there are: REASON_MAX, LISTENER_ROLES. */
function isCount(shape: Enum, member: Member): boolean {
  const noun = shape.name.split('_').at(-1) ?? '';
  return member.short === 'MAX' || member.short === `${noun.toUpperCase()}S`;
}

/** Without the prefix that all members share (of a single member: that it shares with the enum's name). */
function shortNames(shape: Enum): Member[] {
  const words = shape.values.map((value) => value.name.split('_'));
  const first = words[0] ?? [];
  const others = words.length === 1 ? [[...shape.name.toUpperCase().split('_'), '']] : words;
  let shared = 0;
  while (shared < first.length - 1 && others.every((w) => w[shared] === first[shared])) shared++;
  const kept = (skip: number): Member[] =>
    shape.values.map(({ value }, i) => ({ short: (words[i] ?? []).slice(skip).join('_'), value }));
  const short = kept(shared);
  return short.every((member) => /^[A-Za-z_]/.test(member.short)) ? short : kept(0);
}

function fill(items: readonly string[]): string {
  let text = '';
  let line = ' ';
  for (const item of items) {
    if (line.length + item.length + 2 > WIDTH) {
      text += `${line}\n`;
      line = ' ';
    }
    line += ` ${item},`;
  }
  return line === ' ' ? text : `${text}${line}\n`;
}
