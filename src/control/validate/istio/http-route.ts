/**
 * What an HTTP route of a VirtualService does with a request.
 */
import type {
  CorsPolicySpec,
  HeadersSpec,
  HttpFaultInjection,
  HttpRedirect,
  HttpRouteSpec,
} from '../../../model/resource/virtual-service.ts';
import type { SpecReport } from '../spec-report.ts';
import { checkDestination, checkDestinations } from './destination.ts';
import { checkHeaderName, checkStringMatch } from './http-match.ts';

const RETRY_ON = new Set(
  (
    '5xx gateway-error reset reset-before-request connect-failure envoy-ratelimited retriable-4xx ' +
    'refused-stream retriable-status-codes retriable-headers http3-post-connect-failure cancelled ' +
    'deadline-exceeded internal resource-exhausted unavailable'
  ).split(' '),
);

export function checkHttpRoute(route: HttpRouteSpec, path: string, report: SpecReport): void {
  checkAction(route, path, report);
  checkDestinations(route.route ?? [], `${path}.route`, report);
  route.route?.forEach(({ headers }, index) =>
    checkHeaders(headers, `${path}.route[${index}].headers`, report),
  );
  checkHeaders(route.headers, `${path}.headers`, report);
  report.duration(`${path}.timeout`, route.timeout);
  checkRetries(route, path, report);
  if (route.fault !== undefined) checkFault(route.fault, `${path}.fault`, report);
  if (route.corsPolicy !== undefined) checkCors(route.corsPolicy, `${path}.corsPolicy`, report);
  if (route.mirror) checkDestination(route.mirror, `${path}.mirror`, report);
  report.percent(`${path}.mirrorPercent`, route.mirrorPercent ?? route.mirror_percent);
  report.percent(`${path}.mirrorPercentage.value`, route.mirrorPercentage?.value);
  if (route.mirror && route.mirrors) {
    report.invalid(`${path}.mirrors`, 'excludes mirror', 'use one of the two');
  }
  route.mirrors?.forEach(({ destination, percentage }, index) => {
    checkDestination(destination, `${path}.mirrors[${index}].destination`, report);
    report.percent(`${path}.mirrors[${index}].percentage.value`, percentage?.value);
  });
  checkRewrite(route, path, report);
}

function checkAction(route: HttpRouteSpec, path: string, report: SpecReport): void {
  const actions = (['route', 'redirect', 'directResponse', 'delegate'] as const).filter((name) => {
    const value = route[name];
    return value !== undefined && !(Array.isArray(value) && value.length === 0);
  });
  if (actions.length !== 1) {
    const message = actions.length === 0 ? 'does nothing' : `sets ${actions.join(' and ')}`;
    report.invalid(path, message, 'set exactly one of: route, redirect, directResponse, delegate');
  }
  if (route.redirect !== undefined) checkRedirect(route.redirect, `${path}.redirect`, report);
  const status = route.directResponse?.status;
  if (status !== undefined && (status < 200 || status > 599)) {
    report.invalid(`${path}.directResponse.status`, `is ${status}`, 'use 200 to 599');
  }
  if (route.redirect === undefined && route.directResponse === undefined) return;
  for (const field of ['rewrite', 'fault', 'retries', 'timeout', 'mirror'] as const) {
    if (route[field] === undefined) continue;
    const message = 'has no effect on a request that is not forwarded';
    if (field === 'rewrite' || (field === 'fault' && route.redirect !== undefined)) {
      report.invalid(`${path}.${field}`, message, 'remove it');
    } else if (field !== 'fault') {
      report.warn('FIELD_UNUSED', `${path}.${field}`, message, 'remove it');
    }
  }
}

function checkRedirect(redirect: HttpRedirect, path: string, report: SpecReport): void {
  const { redirectCode, uri, authority, port, derivePort, scheme } = redirect;
  if (redirectCode && (redirectCode < 300 || redirectCode > 399)) {
    report.invalid(`${path}.redirectCode`, `is ${redirectCode}`, 'use 301, 302, 303, 307 or 308');
  }
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    report.invalid(`${path}.scheme`, `is ${scheme}`, 'use http or https');
  }
  report.port(`${path}.port`, port);
  if (!uri && !authority && !scheme && port === undefined && derivePort === undefined) {
    report.invalid(path, 'leads back to where it came from', 'set uri, authority, scheme or port');
  }
}

function checkRetries({ retries }: HttpRouteSpec, path: string, report: SpecReport): void {
  const { attempts = 0, perTryTimeout, retryOn = '' } = retries ?? {};
  if (attempts < 0) report.invalid(`${path}.retries.attempts`, `is ${attempts}`, 'use 0 or more');
  report.duration(`${path}.retries.perTryTimeout`, perTryTimeout);
  for (const word of retryOn.split(',').map((item) => item.trim())) {
    if (word === '' || RETRY_ON.has(word) || /^[1-5][0-9]{2}$/.test(word)) continue;
    const fix = `use ${[...RETRY_ON].join(', ')} or a status`;
    report.invalid(`${path}.retries.retryOn`, `${JSON.stringify(word)} is no reason`, fix);
  }
}

function checkFault(fault: HttpFaultInjection, path: string, report: SpecReport): void {
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined) report.missing(`${path}.delay`);
  if (delay !== undefined) {
    if (delay.fixedDelay === undefined) report.missing(`${path}.delay.fixedDelay`);
    report.duration(`${path}.delay.fixedDelay`, delay.fixedDelay);
    report.percent(`${path}.delay.percentage.value`, delay.percentage?.value);
    report.percent(`${path}.delay.percent`, delay.percent);
  }
  if (abort === undefined) return;
  report.percent(`${path}.abort.percentage.value`, abort.percentage?.value);
  const { httpStatus } = abort;
  if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599)) {
    report.invalid(`${path}.abort.httpStatus`, `is ${httpStatus}`, 'use 200 to 599');
  }
}

function checkCors(cors: CorsPolicySpec, path: string, report: SpecReport): void {
  cors.allowOrigins?.forEach((origin, index) =>
    checkStringMatch(origin, `${path}.allowOrigins[${index}]`, report),
  );
  report.duration(`${path}.maxAge`, cors.maxAge);
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    cors[field]?.forEach((name, index) =>
      checkHeaderName(name, `${path}.${field}[${index}]`, report),
    );
  }
}

function checkRewrite({ rewrite }: HttpRouteSpec, path: string, report: SpecReport): void {
  if (rewrite === undefined) return;
  const { uri, authority, uriRegexRewrite } = rewrite;
  if (uri === undefined && authority === undefined && uriRegexRewrite === undefined) {
    report.invalid(`${path}.rewrite`, 'changes nothing', 'set uri, uriRegexRewrite or authority');
  }
  if (uri !== undefined && uriRegexRewrite !== undefined) {
    report.invalid(`${path}.rewrite.uri`, 'excludes uriRegexRewrite', 'use one of the two');
  }
  if (uriRegexRewrite === undefined) return;
  if (!uriRegexRewrite.match) report.missing(`${path}.rewrite.uriRegexRewrite.match`);
  report.regex(`${path}.rewrite.uriRegexRewrite.match`, uriRegexRewrite.match);
}

function checkHeaders(headers: HeadersSpec | undefined, path: string, report: SpecReport): void {
  for (const side of ['request', 'response'] as const) {
    const { set = {}, add = {}, remove = [] } = headers?.[side] ?? {};
    for (const [verb, names] of [
      ['set', Object.keys(set)],
      ['add', Object.keys(add)],
      ['remove', remove],
    ] as const) {
      for (const name of names) {
        // A request's host may be set, by either name.
        if (name === ':authority' && side === 'request' && verb !== 'remove') continue;
        checkHeaderName(name, `${path}.${side}.${verb}['${name}']`, report);
      }
    }
  }
}
