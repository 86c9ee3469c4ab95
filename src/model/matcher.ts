/**
 * Conditions on a request, as envoy.type.matcher.v3 and envoy.config.route.v3 have them.
 */
export interface StringMatcher {
  readonly type: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex';
  /** a regex is RE2 syntax and matches the whole text */
  readonly value: string;
  readonly ignoreCase: boolean;
}

export interface HeaderMatcher {
  /** lower case; ":method", ":path", ":authority", ":scheme" too */
  readonly name: string;
  readonly match:
    | StringMatcher
    | { readonly type: 'present' }
    /** integers, end exclusive */
    | { readonly type: 'range'; readonly start: number; readonly end: number };
  readonly invert: boolean;
  /** an absent header is compared as "" */
  readonly treatMissingAsEmpty: boolean;
}

export interface QueryMatcher {
  readonly name: string;
  readonly match: StringMatcher | { readonly type: 'present' };
}

export type PathMatcher =
  | {
      /** `segment-prefix`: "/a" matches "/a" and "/a/b", not "/ab" (path_separated_prefix) */
      readonly type: 'exact' | 'prefix' | 'segment-prefix' | 'regex';
      readonly value: string;
    }
  /** a CONNECT request */
  | { readonly type: 'connect' };

/** Parts of a million. */
export type Millionths = number;

export interface HeaderEdit {
  readonly name: string;
  readonly value: string;
  readonly action: 'append' | 'append-if-absent' | 'set' | 'set-if-present';
}

export interface HeaderEdits {
  readonly edits: readonly HeaderEdit[];
  readonly remove: readonly string[];
}

export const NO_HEADER_EDITS: HeaderEdits = Object.freeze({ edits: [], remove: [] });
