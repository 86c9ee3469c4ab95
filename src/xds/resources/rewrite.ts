/**
 * Rewrites of path and host ↔ PathRewrite, HostRewrite.
 */
import type { HostRewrite, PathRewrite } from '../../model/route.ts';
import type {
  WireRegexMatchAndSubstitute,
  WireRegexMatchAndSubstituteInput,
  WireRouteAction,
  WireRouteActionInput,
} from '../codec-envoy.ts';

interface RegexRewrite {
  readonly pattern: string;
  readonly substitution: string;
}

export function regexToWire({
  pattern,
  substitution,
}: RegexRewrite): WireRegexMatchAndSubstituteInput {
  return { pattern: { regex: pattern }, substitution };
}

export function regexFromWire(wire: WireRegexMatchAndSubstitute): RegexRewrite {
  return { pattern: wire.pattern?.regex ?? '', substitution: wire.substitution };
}

export function pathRewriteFromWire(wire: WireRouteAction): PathRewrite | undefined {
  if (wire.regex_rewrite) return { type: 'regex', ...regexFromWire(wire.regex_rewrite) };
  return wire.prefix_rewrite === '' ? undefined : { type: 'prefix', value: wire.prefix_rewrite };
}

export function hostRewriteToWire(
  rewrite: HostRewrite | undefined,
): Pick<
  WireRouteActionInput,
  'host_rewrite_literal' | 'host_rewrite_header' | 'auto_host_rewrite'
> {
  switch (rewrite?.type) {
    case 'literal':
      return { host_rewrite_literal: rewrite.value };
    case 'header':
      return { host_rewrite_header: rewrite.name };
    case 'endpoint':
      return { auto_host_rewrite: { value: true } };
    case undefined:
      return {};
  }
}

export function hostRewriteFromWire(wire: WireRouteAction): HostRewrite | undefined {
  switch (wire.host_rewrite_specifier) {
    case 'host_rewrite_literal':
      return { type: 'literal', value: wire.host_rewrite_literal ?? '' };
    case 'host_rewrite_header':
      return { type: 'header', name: (wire.host_rewrite_header ?? '').toLowerCase() };
    case 'auto_host_rewrite':
      return wire.auto_host_rewrite?.value === true ? { type: 'endpoint' } : undefined;
    default:
      return undefined;
  }
}
