/**
 * Typed reading of untrusted YAML values with the path of every field, so that each check is one line and every error
 * names its field.  A reader never throws: it reports and gives undefined, and the caller decides what that costs.
 */
import type { Finding, FindingCode } from '../../model/finding.ts';

export interface Problem {
  readonly code: FindingCode;
  readonly path: string;
  readonly message: string;
  readonly fix: string;
  readonly severity?: Finding['severity'];
}

export type Report = (problem: Problem) => void;

export class Fields {
  readonly path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #report: Report;

  constructor(values: Readonly<Record<string, unknown>>, path: string, report: Report) {
    this.#values = values;
    this.path = path;
    this.#report = report;
  }

  /** undefined, and reported, when the value is no mapping */
  static of(value: unknown, path: string, report: Report): Fields | undefined {
    if (isMapping(value)) return new Fields(value, path, report);
    report({
      code: 'FIELD_INVALID',
      path,
      message: `is ${describe(value)}, not a mapping`,
      fix: 'write it as "key: value" lines',
    });
    return undefined;
  }

  at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  keys(): string[] {
    return Object.keys(this.#values);
  }

  /** An absent mapping reads as an empty one. */
  mapping(key: string): Fields {
    const value = this.#get(key) ?? {};
    return (
      Fields.of(value, this.at(key), this.#report) ?? new Fields({}, this.at(key), this.#report)
    );
  }

  mappings(key: string): Fields[] {
    return this.#list(key).flatMap((item, index) => {
      const fields = Fields.of(item, `${this.at(key)}[${index}]`, this.#report);
      return fields === undefined ? [] : [fields];
    });
  }

  strings(key: string): string[] {
    return this.#list(key).flatMap((item, index) => {
      if (typeof item === 'string' && item !== '') return [item];
      this.invalid(`${key}[${index}]`, `is ${describe(item)}, not a text`, 'quote the value');
      return [];
    });
  }

  string(key: string): string | undefined {
    const value = this.#get(key);
    if (value === undefined || typeof value === 'string') return value;
    this.invalid(key, `is ${describe(value)}, not a text`, 'quote the value');
    return undefined;
  }

  required(key: string): string | undefined {
    const value = this.string(key);
    if (value !== undefined && value !== '') return value;
    if (value === '' || !this.has(key)) this.missing(key);
    return undefined;
  }

  boolean(key: string): boolean {
    const value = this.#get(key);
    if (value === undefined || typeof value === 'boolean') return value ?? false;
    this.invalid(key, `is ${describe(value)}, not true or false`, 'write true or false unquoted');
    return false;
  }

  port(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) {
      this.missing(key);
      return undefined;
    }
    if (isPort(value)) return value;
    this.invalid(key, `is ${describe(value)}, not a port`, 'use a number from 1 to 65535');
    return undefined;
  }

  /** A port number or a port's name; `fallback` when absent. */
  portOrName(key: string, fallback: number): number | string | undefined {
    const value = this.#get(key);
    if (value === undefined) return fallback;
    if (isPort(value) || (typeof value === 'string' && PORT_NAME.test(value))) return value;
    this.invalid(
      key,
      `is ${describe(value)}, neither a port nor the name of one`,
      'use a number from 1 to 65535, or the name of a container port',
    );
    return undefined;
  }

  stringMap(key: string): ReadonlyMap<string, string> {
    const fields = this.mapping(key);
    const map = new Map<string, string>();
    for (const name of fields.keys()) {
      const value = fields.string(name);
      if (value !== undefined) map.set(name, value);
    }
    return map;
  }

  /** Reports every key that is not in the list; true when there was none. */
  only(known: readonly string[]): boolean {
    const unknown = this.keys().filter((key) => !known.includes(key));
    for (const key of unknown) {
      this.#report({
        code: 'FIELD_UNKNOWN',
        path: this.at(key),
        message: 'is no known field',
        fix: `use one of: ${known.join(', ')}`,
      });
    }
    return unknown.length === 0;
  }

  missing(key: string): void {
    this.#report({
      code: 'FIELD_MISSING',
      path: this.at(key),
      message: 'is missing',
      fix: `set ${this.at(key)}`,
    });
  }

  invalid(key: string, message: string, fix: string): void {
    this.#report({ code: 'FIELD_INVALID', path: this.at(key), message, fix });
  }

  report(problem: Omit<Problem, 'path'> & { readonly key: string }): void {
    const { key, ...rest } = problem;
    this.#report({ ...rest, path: this.at(key) });
  }

  /** The value as it is, for the few fields with a grammar of their own. */
  raw(key: string): unknown {
    return this.#get(key);
  }

  #get(key: string): unknown {
    const value = Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
    return value === null ? undefined : value;
  }

  #list(key: string): readonly unknown[] {
    const value = this.#get(key);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.invalid(key, `is ${describe(value)}, not a list`, 'write one "- item" line per entry');
    return [];
  }
}

const PORT_NAME = /^(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i;

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A short rendering for messages; long or nested values are cut. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
