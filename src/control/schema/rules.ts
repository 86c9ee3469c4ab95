/**
 * What a structural schema cannot say: rules in CEL, and lists whose items have keys.
 */
import { fieldPath, type PathStep } from '../validate/path.ts';
import { describe, type Problem } from '../validate/fields.ts';
import { celRule } from './cel.ts';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly 'x-kubernetes-validations'?: readonly {
    readonly rule: string;
    readonly message?: string;
  }[];
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
}

/** whether anything below a schema has to be looked at */
const interesting = new WeakMap<object, boolean>();

/** `spec` matches the structure of `schema`. */
export function checkRules(schema: object, spec: unknown): Problem[] {
  const problems: Problem[] = [];
  walk(schema, spec, [], problems);
  return problems;
}

function walk(schema: Schema, value: unknown, steps: PathStep[], problems: Problem[]): void {
  if (value === undefined || !isInteresting(schema)) return;
  for (const { rule, message } of schema['x-kubernetes-validations'] ?? []) {
    if (!holds(rule, value)) {
      problems.push({
        code: 'FIELD_INVALID',
        path: fieldPath('spec', steps),
        message: `is ${describe(value)}: ${message ?? 'this is not allowed'}`,
        fix: `make this true: ${rule.length > 200 ? `${rule.slice(0, 197)}...` : rule}`,
      });
    }
  }
  if (Array.isArray(value)) {
    checkKeys(schema['x-kubernetes-list-map-keys'], value, steps, problems);
    if (schema.items === undefined) return;
    for (const [index, item] of value.entries()) {
      walk(schema.items, item, [...steps, index], problems);
    }
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  const { properties = {}, additionalProperties } = schema;
  for (const [key, item] of Object.entries(value)) {
    const below = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
    if (typeof below === 'object') walk(below, item, [...steps, key], problems);
  }
}

function holds(rule: string, value: unknown): boolean {
  const evaluate = celRule(rule);
  if (evaluate === undefined) return true;
  try {
    return evaluate(value);
  } catch {
    return false;
  }
}

function checkKeys(
  keys: readonly string[] | undefined,
  list: readonly unknown[],
  steps: readonly PathStep[],
  problems: Problem[],
): void {
  if (keys === undefined) return;
  const seen = new Set<string>();
  for (const [index, item] of list.entries()) {
    const values = item as Readonly<Record<string, unknown>>;
    const identity = JSON.stringify(keys.map((key) => values[key]));
    if (seen.has(identity)) {
      problems.push({
        code: 'FIELD_INVALID',
        path: fieldPath('spec', [...steps, index]),
        message: `has the same ${keys.join(' and ')} as an earlier entry`,
        fix: 'give every entry its own, or remove one',
      });
    }
    seen.add(identity);
  }
}

function isInteresting(schema: Schema): boolean {
  let known = interesting.get(schema);
  if (known === undefined) {
    const { properties = {}, items, additionalProperties } = schema;
    const below = [...Object.values(properties), items, additionalProperties];
    known =
      schema['x-kubernetes-validations'] !== undefined ||
      schema['x-kubernetes-list-map-keys'] !== undefined ||
      below.some((item) => typeof item === 'object' && isInteresting(item));
    interesting.set(schema, known);
  }
  return known;
}
