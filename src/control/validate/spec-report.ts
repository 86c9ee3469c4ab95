/**
 * What the checks of one spec report to; paths are complete ("spec.http[0].timeout").
 */
import type { FindingCode } from '../../model/finding.ts';
import { checkRegex } from './regex.ts';
import { describe, type Report } from './fields.ts';
import { isDuration } from './duration.ts';

export class SpecReport {
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  invalid(path: string, message: string, fix: string): void {
    this.#report({ code: 'FIELD_INVALID', path, message, fix });
  }

  missing(path: string): void {
    this.#report({ code: 'FIELD_MISSING', path, message: 'is missing', fix: `set ${path}` });
  }

  warn(code: FindingCode, path: string, message: string, fix: string): void {
    this.#report({ code, severity: 'warning', path, message, fix });
  }

  error(code: FindingCode, path: string, message: string, fix: string): void {
    this.#report({ code, path, message, fix });
  }

  duration(path: string, value: string | undefined): void {
    if (value === undefined || isDuration(value)) return;
    this.invalid(
      path,
      `${describe(value)} is no duration`,
      'write a number and a unit: 1.5s, 100ms',
    );
  }

  regex(path: string, pattern: string | undefined): void {
    const problem = pattern === undefined ? undefined : checkRegex(pattern);
    if (problem === undefined) return;
    const message = `${describe(pattern)} is no regular expression of RE2: ${problem}`;
    this.error(
      'REGEX_INVALID',
      path,
      message,
      'use the syntax of RE2 (no look-around, no back-references)',
    );
  }

  percent(path: string, value: number | undefined): void {
    if (value === undefined || (value >= 0 && value <= 100)) return;
    this.invalid(path, `${value} is no percentage`, 'use a number from 0 to 100');
  }

  port(path: string, value: number | undefined): void {
    if (value === undefined || (value >= 1 && value <= 65535)) return;
    this.invalid(path, `${value} is no port`, 'use a number from 1 to 65535');
  }

  /** Names that may be given once only. */
  unique(names: readonly (string | undefined)[], path: (index: number) => string): void {
    const seen = new Set<string>();
    names.forEach((name, index) => {
      if (name === undefined) return;
      if (seen.has(name)) {
        this.invalid(path(index), `${describe(name)} is used by an earlier entry`, 'use another');
      }
      seen.add(name);
    });
  }
}
