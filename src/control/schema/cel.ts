/**
 * Rules of CRDs in CEL (x-kubernetes-validations), as the API server's library evaluates them.
 *
 * Regular expressions run in linear time (RE2), as they do in CEL: the library's own `matches` is JavaScript's.
 */
import { createRequire } from 'node:module';
import type { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';

/** Gives whether the rule holds for `self`; throws where its evaluation fails, which the API server counts as broken. */
export type CelRule = (self: unknown) => boolean;

class Url {
  readonly scheme: string;
  constructor(text: string) {
    this.scheme = new URL(text).protocol.slice(0, -1);
  }
}

let known: Environment | undefined;

/** Loaded with the first rule, as ajv is with the first schema. */
function environment(): Environment {
  const library = createRequire(import.meta.url)(
    '@marcbachmann/cel-js',
  ) as typeof import('@marcbachmann/cel-js');
  return (known ??= new library.Environment({ homogeneousAggregateLiterals: false })
    .registerVariable('self', 'dyn')
    .registerFunction('string.matchesRe2(string): bool', (text: string, pattern: string) =>
      RE2JS.compile(pattern).matcher(text).find(),
    )
    .registerFunction('isURL(string): bool', (text: string) => URL.canParse(text))
    .registerType('URL', Url)
    .registerFunction('url(string): URL', (text: string) => new Url(text))
    .registerFunction('URL.getScheme(): string', (url: Url) => url.scheme));
}

export function loadCel(): void {
  environment();
}

const compiled = new Map<string, CelRule | undefined>();

/** undefined: the library cannot evaluate it (has() of an element of a list); generate.ts lists those. */
export function celRule(rule: string): CelRule | undefined {
  if (!compiled.has(rule)) compiled.set(rule, compile(rule));
  return compiled.get(rule);
}

function compile(rule: string): CelRule | undefined {
  try {
    // A reserved word of CEL is written __so__ where it names a field.
    const text = rule.replaceAll('__namespace__', 'namespace');
    const program = environment().parse(text.replaceAll('.matches(', '.matchesRe2('));
    if (!program.check().valid) return undefined;
    return (self) => program({ self: celValue(self) }) === true;
  } catch {
    return undefined;
  }
}

/** Integers are int64 there; mappings have no prototype whose names could be taken for keys. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, celValue(item)]));
}
