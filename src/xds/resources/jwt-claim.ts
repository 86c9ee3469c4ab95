/**
 * A condition on a claim of the verified token ↔ Envoy's MetadataMatcher on what jwt_authn leaves behind, as istiod
 * writes it: a claim is one text or a list of them.
 */
import type { Principal } from '../../model/http-filter.ts';
import type {
  WireMetadataMatcher,
  WireMetadataMatcherInput,
  WireStringMatcher,
  WireValueMatcher,
} from '../codec-envoy.ts';
import { stringFromWire, stringToWire } from './matcher.ts';
import type { Reading } from './reading.ts';

type Claim = Extract<Principal, { readonly type: 'claim' }>;

export const JWT_FILTER = 'envoy.filters.http.jwt_authn';
/** where JwtProvider.payload_in_metadata puts the claims */
export const JWT_PAYLOAD = 'payload';

export function claimToWire(path: Claim['path'], match: Claim['match']): WireMetadataMatcherInput {
  const segments = [JWT_PAYLOAD, ...path].map((key) => ({ key }));
  if (match.type === 'present') {
    return { filter: JWT_FILTER, path: segments, value: { present_match: true } };
  }
  const text = { string_match: stringToWire(match) };
  const value = { or_match: { value_matchers: [text, { list_match: { one_of: text } }] } };
  return { filter: JWT_FILTER, path: segments, value };
}

export function claimFromWire(
  wire: WireMetadataMatcher,
  path: string,
  reading: Reading,
): Principal[] {
  const [payload, ...claim] = wire.path.map(({ key }) => key ?? '');
  if (wire.filter !== JWT_FILTER || payload !== JWT_PAYLOAD || claim.length === 0) {
    reading.error(path, 'is not about a claim of a token');
    return [];
  }
  return matchFromWire(wire.value, `${path}.value`, reading).map((match): Principal => {
    const found: Principal = { type: 'claim', path: claim, match };
    return wire.invert ? { type: 'not', of: found } : found;
  });
}

function matchFromWire(
  wire: WireValueMatcher | null,
  path: string,
  reading: Reading,
): Claim['match'][] {
  if (wire?.present_match === true) return [{ type: 'present' }];
  const text = wire && textOf(wire);
  if (text) return stringFromWire(text, path, reading);
  reading.error(path, 'has no kind of match that is known');
  return [];
}

/** A text, a list with such a text, or either of both. */
function textOf(wire: WireValueMatcher): WireStringMatcher | undefined {
  switch (wire.match_pattern) {
    case 'string_match':
      return wire.string_match ?? undefined;
    case 'list_match':
      return wire.list_match?.one_of?.string_match ?? undefined;
    case 'or_match': {
      const texts = (wire.or_match?.value_matchers ?? []).map((matcher) =>
        matcher.match_pattern === 'or_match' ? undefined : textOf(matcher),
      );
      const [first] = texts;
      const same = texts.every((text) => JSON.stringify(text) === JSON.stringify(first));
      return same ? first : undefined;
    }
    default:
      return undefined;
  }
}
