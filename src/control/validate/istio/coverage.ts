/**
 * Routes that no request reaches: an earlier one takes everything they would.
 *
 * Only what is certain is told: conditions are compared field by field, a regular expression covers nothing but itself.
 */
import type { StringMatchSpec } from '../../../model/resource/spec.ts';
import type { HttpMatchRequest, HttpRouteSpec } from '../../../model/resource/virtual-service.ts';
import type { SpecReport } from '../spec-report.ts';

/** The comparison is quadratic; longer lists are compared with the routes for everything alone. */
const MAX_COMPARED = 300;

type Match = HttpMatchRequest;

/** Takes every request that comes to its hosts. */
export function isCatchAll({ match }: HttpRouteSpec): boolean {
  return matchesOf(match).some((one) => conditionsOf(one).length === 0);
}

export function checkReachable(routes: readonly HttpRouteSpec[], report: SpecReport): void {
  const earlier: { readonly match: Match; readonly path: string }[] = [];
  let all: string | undefined;
  routes.forEach((route, index) => {
    const path = `spec.http[${index}]`;
    const matches = matchesOf(route.match);
    matches.forEach((match, item) => {
      const at = route.match === undefined ? path : `${path}.match[${item}]`;
      const cover = all ?? earlier.find((one) => covers(one.match, match))?.path;
      if (cover !== undefined) {
        const message = `is never reached: ${cover} takes every request it is for`;
        report.warn('ROUTE_UNREACHABLE', at, message, 'put it before, or remove it');
      }
      if (earlier.length < MAX_COMPARED) earlier.push({ match, path: at });
      if (conditionsOf(match).length === 0) all ??= at;
    });
  });
}

function matchesOf(match: readonly Match[] | undefined): readonly Match[] {
  return match === undefined || match.length === 0 ? [{}] : match;
}

/** names and statPrefix are labels, no conditions */
function conditionsOf(match: Match): string[] {
  return Object.entries(match)
    .filter(
      ([name, value]) => !['name', 'statPrefix', 'ignoreUriCase'].includes(name) && isSet(value),
    )
    .filter(([name]) => !(name === 'uri' && isEveryPath(match.uri)))
    .map(([name]) => name);
}

function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== '';
}

function isEveryPath(uri: StringMatchSpec | undefined): boolean {
  return uri?.prefix === '/' || uri?.prefix === '' || uri?.regex === '.*';
}

/** Whether every request that `b` takes is taken by `a`. */
function covers(a: Match, b: Match): boolean {
  return conditionsOf(a).every((name) => {
    switch (name) {
      case 'uri':
        if ((a.ignoreUriCase ?? false) !== (b.ignoreUriCase ?? false)) return false;
        return textCovers(a.uri, b.uri);
      case 'scheme':
      case 'method':
      case 'authority':
        return textCovers(a[name], b[name]);
      case 'headers':
      case 'queryParams':
        return Object.entries(a[name] ?? {}).every(([key, value]) => {
          const other = Object.hasOwn(b[name] ?? {}, key) ? b[name]?.[key] : undefined;
          return other !== undefined && (!isSet(value) || textCovers(value, other));
        });
      case 'gateways':
        return isSet(b.gateways) && b.gateways!.every((gateway) => a.gateways!.includes(gateway));
      case 'sourceLabels':
        return Object.entries(a.sourceLabels ?? {}).every(
          ([key, value]) => b.sourceLabels?.[key] === value,
        );
      case 'port':
        return a.port === b.port;
      case 'sourceNamespace':
        return a.sourceNamespace === b.sourceNamespace;
      default:
        // withoutHeaders, and whatever comes: the same or nothing.
        return JSON.stringify(a[name as keyof Match]) === JSON.stringify(b[name as keyof Match]);
    }
  });
}

function textCovers(a: StringMatchSpec | undefined, b: StringMatchSpec | undefined): boolean {
  if (a === undefined) return true;
  if (b === undefined) return false;
  if (a.regex !== undefined) return a.regex === b.regex;
  if (a.exact !== undefined) return a.exact === b.exact;
  if (a.prefix === undefined) return false;
  return (b.exact ?? b.prefix)?.startsWith(a.prefix) ?? false;
}
