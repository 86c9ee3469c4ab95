/**
 * HTTPRoute, GRPCRoute, TCPRoute and TLSRoute: what their schemas do not say, and what they say in CEL that the library
 * cannot evaluate (see notEvaluated in the schema).
 */
import type {
  ApiRouteFilter,
  BackendReference,
  GrpcApiRouteSpec,
  HttpApiBackendReference,
  HttpApiRouteMatch,
  HttpApiRouteRule,
  HttpApiRouteSpec,
  NamedMatch,
  TcpApiRouteSpec,
} from '../../../model/resource/gateway-api.ts';
import type { SpecReport } from '../spec-report.ts';

const MAX_MATCHES = 128;

export function checkHttpApiRoute({ rules = [] }: HttpApiRouteSpec, report: SpecReport): void {
  checkMatchCount(rules, report);
  rules.forEach((rule, index) => {
    const path = `spec.rules[${index}]`;
    rule.matches.forEach((match, item) => checkMatch(match, `${path}.matches[${item}]`, report));
    checkBackends(rule.backendRefs, path, report);
    checkPrefixRewrites(rule, path, report);
    report.duration(`${path}.timeouts.request`, rule.timeouts?.request);
    report.duration(`${path}.timeouts.backendRequest`, rule.timeouts?.backendRequest);
  });
}

export function checkGrpcApiRoute({ rules = [] }: GrpcApiRouteSpec, report: SpecReport): void {
  checkMatchCount(rules, report);
  rules.forEach(({ matches = [], backendRefs }, index) => {
    const path = `spec.rules[${index}]`;
    matches.forEach(({ method, headers }, item) => {
      const at = `${path}.matches[${item}]`;
      checkNamed(headers, `${at}.headers`, report);
      if (method?.type !== 'RegularExpression') return;
      report.regex(`${at}.method.service`, method.service);
      report.regex(`${at}.method.method`, method.method);
    });
    checkBackends(backendRefs, path, report);
  });
}

export function checkL4ApiRoute({ rules = [] }: TcpApiRouteSpec, report: SpecReport): void {
  rules.forEach(({ backendRefs }, index) =>
    checkBackends(backendRefs, `spec.rules[${index}]`, report),
  );
}

function checkMatch(
  { path, headers, queryParams }: HttpApiRouteMatch,
  at: string,
  report: SpecReport,
): void {
  if (path.type === 'RegularExpression') report.regex(`${at}.path.value`, path.value);
  checkNamed(headers, `${at}.headers`, report);
  checkNamed(queryParams, `${at}.queryParams`, report);
}

function checkNamed(
  list: readonly NamedMatch[] | undefined,
  path: string,
  report: SpecReport,
): void {
  list?.forEach(({ type, value }, index) => {
    if (type === 'RegularExpression') report.regex(`${path}[${index}].value`, value);
  });
}

function checkMatchCount(
  rules: readonly { readonly matches?: readonly unknown[] }[],
  report: SpecReport,
): void {
  const count = rules.reduce((sum, { matches = [] }) => sum + matches.length, 0);
  if (count <= MAX_MATCHES) return;
  const fix = 'split the route';
  report.invalid('spec.rules', `have ${count} matches, more than ${MAX_MATCHES}`, fix);
}

/** Backends of weight 0 alone answer every request with an error, which nobody writes on purpose. */
function checkBackends(
  backends: readonly BackendReference[] | undefined,
  path: string,
  report: SpecReport,
): void {
  if (backends === undefined || backends.length === 0) return;
  if (backends.some(({ weight }) => weight > 0)) return;
  const message = 'all weights are 0: every request is answered with 500';
  report.warn('WEIGHTS_INVALID', `${path}.backendRefs`, message, 'give one of them a weight');
}

function checkPrefixRewrites(rule: HttpApiRouteRule, path: string, report: SpecReport): void {
  const prefixes = rule.matches.filter((match) => match.path.type === 'PathPrefix');
  if (rule.matches.length === 1 && prefixes.length === 1) return;
  const check = (filters: readonly ApiRouteFilter[] | undefined, at: string): void => {
    filters?.forEach(({ requestRedirect, urlRewrite }, index) => {
      const { type } = requestRedirect?.path ?? urlRewrite?.path ?? {};
      if (type !== 'ReplacePrefixMatch') return;
      const message = 'ReplacePrefixMatch needs exactly one match, by PathPrefix';
      report.invalid(`${at}.filters[${index}]`, message, 'split the rule');
    });
  };
  check(rule.filters, path);
  rule.backendRefs?.forEach(({ filters }: HttpApiBackendReference, index) =>
    check(filters, `${path}.backendRefs[${index}]`),
  );
}
