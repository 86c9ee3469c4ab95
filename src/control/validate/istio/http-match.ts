/**
 * One match of an HTTP route.
 */
import type { StringMatchSpec } from '../../../model/resource/spec.ts';
import type { HttpMatchRequest } from '../../../model/resource/virtual-service.ts';
import { describe } from '../fields.ts';
import type { SpecReport } from '../spec-report.ts';

/** Istio's way to route by a claim of a validated token: @request.auth.claims.group or @request.auth.claims[group] */
const CLAIM = /^@request\.auth\.claims(\.|\[)/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export function checkHttpMatch(match: HttpMatchRequest, path: string, report: SpecReport): void {
  for (const field of ['uri', 'scheme', 'method', 'authority'] as const) {
    checkStringMatch(match[field], `${path}.${field}`, report);
  }
  for (const field of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, value] of Object.entries(match[field] ?? {})) {
      const at = `${path}.${field}['${name}']`;
      // No value means "is there".
      checkStringMatch(value, at, report, true);
      if (field !== 'queryParams' && !CLAIM.test(name)) checkHeaderName(name, at, report);
    }
  }
  report.port(`${path}.port`, match.port);
}

export function checkStringMatch(
  match: StringMatchSpec | undefined,
  path: string,
  report: SpecReport,
  presence = false,
): void {
  if (match === undefined) return;
  const { exact, prefix, regex } = match;
  if (!presence && exact === undefined && prefix === undefined && regex === undefined) {
    report.invalid(path, 'sets no condition', 'set exact, prefix or regex');
  }
  if (prefix === '' && !presence && !path.endsWith('.uri')) {
    report.invalid(`${path}.prefix`, 'is empty', 'remove it');
  }
  // Istio reads "*" as "is there", which RE2 does not.
  if (regex !== '*' || !presence) report.regex(`${path}.regex`, regex);
}

/** ":method" and the like are conditions of their own. */
export function checkHeaderName(name: string, path: string, report: SpecReport): void {
  if (HEADER.test(name)) return;
  const fix = name.startsWith(':') ? 'use the match of that name' : 'use letters, digits and "-"';
  report.invalid(path, `${describe(name)} is no header name`, fix);
}
