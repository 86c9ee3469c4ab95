/**
 * RequestAuthentication: what its schema does not say.
 */
import type { JwtRule, RequestAuthenticationSpec } from '../../../model/resource/security.ts';
import type { SpecReport } from '../spec-report.ts';
import { checkHeaderName } from './http-match.ts';

export function checkRequestAuthentication(
  { jwtRules = [] }: RequestAuthenticationSpec,
  report: SpecReport,
): void {
  jwtRules.forEach((rule, index) => checkRule(rule, `spec.jwtRules[${index}]`, report));
}

function checkRule(rule: JwtRule, path: string, report: SpecReport): void {
  if (rule.issuer === '') report.missing(`${path}.issuer`);
  for (const field of ['jwksUri', 'jwks_uri'] as const) {
    const uri = rule[field];
    if (uri === undefined || (URL.canParse(uri) && /^https?:/.test(uri))) continue;
    report.invalid(`${path}.${field}`, 'is no address of a web page', 'use https://…');
  }
  if (rule.jwks !== undefined && !hasKeys(rule.jwks)) {
    report.invalid(`${path}.jwks`, 'is no JSON Web Key Set', 'use {"keys":[…]}');
  }
  rule.fromHeaders?.forEach(({ name }, index) =>
    checkHeaderName(name, `${path}.fromHeaders[${index}].name`, report),
  );
  rule.outputClaimToHeaders?.forEach(({ header, claim }, index) => {
    checkHeaderName(header, `${path}.outputClaimToHeaders[${index}].header`, report);
    if (claim === '') report.missing(`${path}.outputClaimToHeaders[${index}].claim`);
  });
  report.duration(`${path}.timeout`, rule.timeout);
}

/** The keys themselves are looked at where they are used. */
function hasKeys(text: string): boolean {
  try {
    const { keys } = (JSON.parse(text) ?? {}) as { keys?: unknown };
    return Array.isArray(keys) && keys.every((key) => typeof key === 'object' && key !== null);
  } catch {
    return false;
  }
}
