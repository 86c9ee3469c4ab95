/**
 * Conditions of an AuthorizationPolicy as Envoy's RBAC combines them: the same algebra for permissions and principals.
 *
 * A condition that cannot be expressed is undefined here and stays so in everything that is made of it; what that costs is
 * the rule's decision, which knows whether matching less or matching more is the closed side.
 */
import type { Permission, Principal } from '../../../../model/http-filter.ts';

export type Expression<Leaf> =
  | Leaf
  | { readonly type: 'any' }
  | { readonly type: 'and' | 'or'; readonly of: readonly Expression<Leaf>[] }
  | { readonly type: 'not'; readonly of: Expression<Leaf> };

type Combining = 'any' | 'and' | 'or' | 'not';
export type PermissionLeaf = Exclude<Permission, { readonly type: Combining }>;
export type PrincipalLeaf = Exclude<Principal, { readonly type: Combining }>;

export const ANY = { type: 'any' } as const;

/** none: everything matches */
export function allOf<Leaf>(list: readonly Expression<Leaf>[]): Expression<Leaf> {
  return list.length === 1 ? list[0]! : list.length === 0 ? ANY : { type: 'and', of: list };
}

/** of one at least */
export function oneOf<Leaf>(list: readonly Expression<Leaf>[]): Expression<Leaf> {
  return list.length === 1 ? list[0]! : { type: 'or', of: list };
}

/** One of `values`, when there are any, and none of `notValues`. */
export function condition<Leaf>(
  values: readonly (Expression<Leaf> | undefined)[],
  notValues: readonly (Expression<Leaf> | undefined)[],
): Expression<Leaf> | undefined {
  const wanted = known(values);
  const unwanted = known(notValues);
  if (wanted === undefined || unwanted === undefined) return undefined;
  return allOf<Leaf>([
    ...(wanted.length > 0 ? [oneOf(wanted)] : []),
    ...(unwanted.length > 0 ? [{ type: 'not', of: oneOf(unwanted) } as const] : []),
  ]);
}

function known<Leaf>(
  list: readonly (Expression<Leaf> | undefined)[],
): Expression<Leaf>[] | undefined {
  const found = list.filter((item) => item !== undefined);
  return found.length === list.length ? found : undefined;
}
