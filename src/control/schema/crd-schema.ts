/**
 * The schema of one CRD's spec: structure by JSON schema, then the rules the API server evaluates besides.
 */
import { createRequire } from 'node:module';
import type { Ajv, ErrorObject, ValidateFunction } from 'ajv';
import { RE2JS } from 're2js';
import { fieldPath, type PathStep } from '../validate/path.ts';
import { describe, type Problem } from '../validate/fields.ts';
import gatewayApi from './gateway-api.json' with { type: 'json' };
import istio from './istio.json' with { type: 'json' };
import { checkRules } from './rules.ts';
import type { KindSchema, SchemaFile } from './schema-file.ts';

/** More of one resource says no more to its author. */
const MAX_PROBLEMS = 50;

const FILES: readonly SchemaFile[] = [
  istio as unknown as SchemaFile,
  gatewayApi as unknown as SchemaFile,
];

// Patterns come from the CRDs and texts from anybody: they meet in an engine that takes linear time.
const re2 = Object.assign((pattern: string) => new Re2Pattern(pattern), { code: 'undefined' });

class Re2Pattern {
  readonly #pattern: ReturnType<typeof RE2JS.compile>;
  constructor(pattern: string) {
    this.#pattern = RE2JS.compile(pattern);
  }
  test(text: string): boolean {
    return this.#pattern.matcher(text).find();
  }
  /** ajv takes patterns for one whose text is one. */
  toString(): string {
    return this.#pattern.pattern();
  }
}

const ajvLibrary = (): typeof import('ajv') =>
  createRequire(import.meta.url)('ajv') as typeof import('ajv');

let validator: Ajv | undefined;

/** Not with the process: a node of plain Kubernetes resources starts 40 ms sooner.  See warm-up.ts. */
function ajv(): Ajv {
  return (validator ??= new (ajvLibrary().Ajv)({
    strict: false,
    allErrors: true,
    useDefaults: true,
    verbose: true,
    validateFormats: false,
    // They are our own, and a test holds them against JSON schema's: that costs twice as much as compiling a small one.
    meta: false,
    validateSchema: false,
    code: { regExp: re2 },
  }));
}

export function loadAjv(): void {
  ajv();
}

export class CrdSchema {
  readonly group: string;
  readonly versions: readonly string[];
  readonly #spec: KindSchema['spec'];
  #validate: ValidateFunction | undefined;

  constructor({ group, versions, spec }: KindSchema) {
    this.group = group;
    this.versions = versions;
    this.#spec = spec;
  }

  /** Fills in defaults in place; no problem: the API server would take it. */
  check(spec: unknown): Problem[] {
    // Compiling takes milliseconds and most meshes use few of the kinds.
    this.#validate ??= ajv().compile(this.#spec);
    // ajv looks at oneOf before it fills in the defaults that decide it: what fails is looked at again.
    if (this.#validate(spec) || this.#validate(spec))
      return checkRules(this.#spec, spec).slice(0, MAX_PROBLEMS);
    const problems: Problem[] = [];
    for (const error of this.#validate.errors ?? []) {
      if (problems.length < MAX_PROBLEMS && !isPartOfChoice(error)) problems.push(toProblem(error));
    }
    this.#validate.errors = null;
    // The rules can rely on the structure of all that is known.
    if (problems.every(({ code }) => code === 'FIELD_UNKNOWN')) {
      problems.push(...checkRules(this.#spec, spec));
    }
    return problems.slice(0, MAX_PROBLEMS);
  }
}

const schemas = new Map<string, CrdSchema>();
for (const { kinds } of FILES) {
  for (const [kind, schema] of Object.entries(kinds)) {
    schemas.set(`${schema.group}/${kind}`, new CrdSchema(schema));
  }
}

export function crdSchema(group: string, kind: string): CrdSchema {
  const schema = schemas.get(`${group}/${kind}`);
  if (schema === undefined) throw new Error(`no schema of ${group} ${kind}`);
  return schema;
}

/** What failed inside of oneOf, anyOf or not is told by the choice itself. */
function isPartOfChoice({ schemaPath }: ErrorObject): boolean {
  return /\/(oneOf|anyOf|not)\/./.test(schemaPath);
}

function toProblem(error: ErrorObject): Problem {
  const steps = error.instancePath.split('/').slice(1).map(unescapeStep);
  const path = fieldPath('spec', steps);
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const field = fieldPath('spec', [...steps, String(params['additionalProperty'])]);
      const { properties = {} } = error.parentSchema as { properties?: object };
      const fix = `use one of: ${Object.keys(properties).join(', ')}`;
      return { code: 'FIELD_UNKNOWN', path: field, message: 'is no known field', fix };
    }
    case 'required': {
      const field = fieldPath('spec', [...steps, String(params['missingProperty'])]);
      return { code: 'FIELD_MISSING', path: field, message: 'is missing', fix: `set ${field}` };
    }
    case 'oneOf':
    case 'anyOf':
    case 'not':
      return { code: 'FIELD_INVALID', path, ...choiceText(error) };
    default:
      return {
        code: 'FIELD_INVALID',
        path,
        message: `is ${describe(error.data)}, which ${error.message ?? 'is not allowed'}`,
        fix: fixOf(error.keyword, params),
      };
  }
}

function choiceText({ schema, data }: ErrorObject): { message: string; fix: string } {
  const names = new Set<string>();
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (key === 'required' && Array.isArray(item)) for (const name of item) names.add(name);
        else collect(item);
      }
    }
  };
  collect(schema);
  const present = [...names].filter(
    (name) => typeof data === 'object' && data !== null && Object.hasOwn(data, name),
  );
  const fix = `set exactly one of: ${[...names].join(', ')}`;
  if (present.length === 0) return { message: 'sets none of the fields that decide', fix };
  return { message: `sets ${present.join(' and ')}, which exclude each other`, fix };
}

function fixOf(keyword: string, params: Readonly<Record<string, unknown>>): string {
  switch (keyword) {
    case 'enum':
      return `use one of: ${(params['allowedValues'] as readonly unknown[]).join(', ')}`;
    case 'type':
      return `write a value of type ${String(params['type'])}`;
    case 'pattern':
      return `write it in the form ${String(params['pattern'])}`;
    default:
      return params['limit'] === undefined
        ? 'see the reference of this kind'
        : `the limit is ${String(params['limit'])}`;
  }
}

/** JSON pointer */
function unescapeStep(step: string): PathStep {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
