/**
 * Conditions on requests ↔ their models.  A kind of match that is not known refuses the resource.
 */
import type {
  HeaderMatcher,
  PathMatcher,
  QueryMatcher,
  StringMatcher,
} from '../../model/matcher.ts';
import type {
  WireHeaderMatcher,
  WireHeaderMatcherInput,
  WireListStringMatcher,
  WireQueryParameterMatcher,
  WireQueryParameterMatcherInput,
  WireRouteMatch,
  WireRouteMatchInput,
  WireStringMatcher,
  WireStringMatcherInput,
} from '../codec-envoy.ts';
import type { Reading } from './reading.ts';

export function stringToWire({ type, value, ignoreCase }: StringMatcher): WireStringMatcherInput {
  return {
    ...(type === 'regex' ? { safe_regex: { regex: value } } : { [type]: value }),
    ignore_case: ignoreCase,
  };
}

export function stringFromWire(
  wire: WireStringMatcher | null,
  path: string,
  { error }: Reading,
): StringMatcher[] {
  const type = wire?.match_pattern;
  const ignoreCase = wire?.ignore_case === true;
  switch (type) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return [{ type, value: wire?.[type] ?? '', ignoreCase }];
    case 'safe_regex':
      // Envoy does not apply ignore_case to a regex either.
      return [{ type: 'regex', value: wire?.safe_regex?.regex ?? '', ignoreCase: false }];
    default:
      error(path, 'has no kind of match that is known');
      return [];
  }
}

export function stringsFromWire(
  list: WireListStringMatcher | null | undefined,
  path: string,
  reading: Reading,
): StringMatcher[] {
  return (list?.patterns ?? []).flatMap((pattern, index) =>
    stringFromWire(pattern, `${path}.patterns[${index}]`, reading),
  );
}

export function headerToWire(header: HeaderMatcher): WireHeaderMatcherInput {
  const { name, match, invert, treatMissingAsEmpty } = header;
  const common = { name, invert_match: invert, treat_missing_header_as_empty: treatMissingAsEmpty };
  if (match.type === 'present') return { ...common, present_match: true };
  if (match.type === 'range') {
    return { ...common, range_match: { start: match.start, end: match.end } };
  }
  return { ...common, string_match: stringToWire(match) };
}

export function headerFromWire(
  wire: WireHeaderMatcher,
  path: string,
  reading: Reading,
): HeaderMatcher[] {
  const common = {
    name: wire.name.toLowerCase(),
    treatMissingAsEmpty: wire.treat_missing_header_as_empty,
  };
  if (wire.name === '') reading.error(`${path}.name`, 'is missing');
  const matching = (type: StringMatcher['type'], value: string): HeaderMatcher[] => [
    { ...common, match: { type, value, ignoreCase: false }, invert: wire.invert_match },
  ];
  switch (wire.header_match_specifier) {
    case 'string_match':
      return stringFromWire(wire.string_match ?? null, `${path}.string_match`, reading).map(
        (match) => ({ ...common, match, invert: wire.invert_match }),
      );
    case 'range_match': {
      const start = Number(wire.range_match?.start);
      const end = Number(wire.range_match?.end);
      return [{ ...common, match: { type: 'range', start, end }, invert: wire.invert_match }];
    }
    case 'exact_match':
      return matching('exact', wire.exact_match ?? '');
    case 'prefix_match':
      return matching('prefix', wire.prefix_match ?? '');
    case 'suffix_match':
      return matching('suffix', wire.suffix_match ?? '');
    case 'contains_match':
      return matching('contains', wire.contains_match ?? '');
    case 'safe_regex_match':
      return matching('regex', wire.safe_regex_match?.regex ?? '');
    case 'present_match':
    default: {
      // Nothing at all asks for presence; `present_match: false` for absence.
      const absent = wire.present_match === false;
      return [{ ...common, match: { type: 'present' }, invert: wire.invert_match !== absent }];
    }
  }
}

export function headersFromWire(
  list: readonly WireHeaderMatcher[],
  path: string,
  reading: Reading,
): HeaderMatcher[] {
  return list.flatMap((header, index) => headerFromWire(header, `${path}[${index}]`, reading));
}

export function queryToWire({ name, match }: QueryMatcher): WireQueryParameterMatcherInput {
  return match.type === 'present'
    ? { name, present_match: true }
    : { name, string_match: stringToWire(match) };
}

export function queryFromWire(
  wire: WireQueryParameterMatcher,
  path: string,
  reading: Reading,
): QueryMatcher[] {
  const { name } = wire;
  if (wire.query_parameter_match_specifier === 'string_match') {
    return stringFromWire(wire.string_match ?? null, `${path}.string_match`, reading).map(
      (match) => ({ name, match }),
    );
  }
  if (wire.present_match === false) {
    reading.error(`${path}.present_match`, 'asks for absence, which is not supported');
  }
  return [{ name, match: { type: 'present' } }];
}

export function pathToWire(path: PathMatcher): WireRouteMatchInput {
  switch (path.type) {
    case 'exact':
      return { path: path.value };
    case 'prefix':
      return { prefix: path.value };
    case 'segment-prefix':
      return { path_separated_prefix: path.value };
    case 'regex':
      return { safe_regex: { regex: path.value } };
    case 'connect':
      return { connect_matcher: {} };
  }
}

export function pathFromWire(
  wire: WireRouteMatch | null,
  path: string,
  { error }: Reading,
): PathMatcher {
  switch (wire?.path_specifier) {
    case 'path':
      return { type: 'exact', value: wire.path ?? '' };
    case 'prefix':
      return { type: 'prefix', value: wire.prefix ?? '' };
    case 'path_separated_prefix':
      return { type: 'segment-prefix', value: wire.path_separated_prefix ?? '' };
    case 'safe_regex':
      return { type: 'regex', value: wire.safe_regex?.regex ?? '' };
    case 'connect_matcher':
      return { type: 'connect' };
    default:
      error(path, 'has no kind of path match that is known');
      return { type: 'exact', value: '' };
  }
}
