/**
 * A rule of an AuthorizationPolicy → a policy of Envoy's RBAC: one permission per `to`, one principal per `from`, and the
 * conditions of `when` on the side they belong to.
 *
 * A condition that cannot be checked is left out where the rule refuses (more is refused) and takes the rule with it where
 * it lets through (less is allowed).
 */
import type { RbacPolicy } from '../../../../model/http-filter.ts';
import type {
  AuthorizationConditionSpec,
  AuthorizationOperationSpec,
  AuthorizationRuleSpec,
  AuthorizationSourceSpec,
} from '../../../../model/resource/security.ts';
import { describe, type Problem } from '../../../validate/fields.ts';
import {
  conditionAttribute,
  OPERATION_ATTRIBUTES,
  SOURCE_ATTRIBUTES,
  type Attribute,
} from './attribute.ts';
import {
  allOf,
  condition,
  type Expression,
  type PermissionLeaf,
  type PrincipalLeaf,
} from './expression.ts';

export interface RuleContext {
  readonly namespace: string;
  /** "spec.rules[0]" */
  readonly path: string;
  /** what becomes of a rule with a condition that cannot be checked */
  readonly unchecked: 'matches without it' | 'never matches';
  readonly report: (problem: Problem) => void;
}

type Checked<Leaf> = Expression<Leaf> | undefined;

/** undefined: it never matches */
export function rbacPolicy(
  rule: AuthorizationRuleSpec,
  context: RuleContext,
): RbacPolicy | undefined {
  const { path, unchecked } = context;
  const when = (rule.when ?? []).map((item, index) =>
    readCondition(item, { ...context, path: `${path}.when[${index}]` }),
  );
  const principals = when.flatMap(({ side, expression }) =>
    side === 'principal' ? [expression] : [],
  );
  const permissions = when.flatMap(({ side, expression }) =>
    side === 'permission' ? [expression] : [],
  );
  const from = (rule.from?.length ? rule.from : [{}]).map(({ source = {} }, index) => [
    ...readFields(source, SOURCE_ATTRIBUTES, {
      ...context,
      path: `${path}.from[${index}].source`,
    }),
    ...principals,
  ]);
  const to = (rule.to?.length ? rule.to : [{}]).map(({ operation = {} }, index) => [
    ...readFields(operation, OPERATION_ATTRIBUTES, {
      ...context,
      path: `${path}.to[${index}].operation`,
    }),
    ...permissions,
  ]);
  const isChecked = [...from, ...to].flat().every((expression) => expression !== undefined);
  if (!isChecked && unchecked === 'never matches') return undefined;
  return {
    permissions: to.map((list) => allOf(checkedOnly(list))),
    principals: from.map((list) => allOf(checkedOnly(list))),
  };
}

function readFields<Leaf>(
  spec: AuthorizationSourceSpec | AuthorizationOperationSpec,
  attributes: Readonly<Record<string, Attribute<Leaf>>>,
  context: RuleContext,
): Checked<Leaf>[] {
  const fields = spec as Readonly<Record<string, unknown>>;
  return Object.entries(attributes).flatMap(([name, attribute]) => {
    const notName = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    return readField(
      { [name]: fields[name], [notName]: fields[notName] },
      [name, notName],
      attribute,
      context,
    );
  });
}

function readCondition(
  { key, values, notValues }: AuthorizationConditionSpec,
  context: RuleContext,
):
  | { readonly side: 'principal'; readonly expression: Checked<PrincipalLeaf> }
  | { readonly side: 'permission'; readonly expression: Checked<PermissionLeaf> } {
  const found = conditionAttribute(key);
  if ([values, notValues].every((list) => list === undefined || list.length === 0)) {
    context.report({
      code: 'FIELD_MISSING',
      path: `${context.path}.values`,
      message: `is missing, and so is notValues; ${consequence(context)}`,
      fix: 'set one of them, or remove the condition to match everything',
    });
  }
  const names = ['values', 'notValues'] as const;
  switch (found?.side) {
    case 'principal': {
      const [expression] = readField({ values, notValues }, names, found.attribute, context);
      return { side: 'principal', expression };
    }
    case 'permission': {
      const [expression] = readField({ values, notValues }, names, found.attribute, context);
      return { side: 'permission', expression };
    }
    case undefined:
      context.report({
        code: 'NOT_SUPPORTED',
        path: `${context.path}.key`,
        message: `${describe(key)} is no known condition; ${consequence(context)}`,
        fix: 'use source.*, remote.ip, request.headers[NAME], request.auth.*, destination.* or connection.sni',
      });
      return { side: 'principal', expression: undefined };
  }
}

/** Nothing, or one condition: what the field and its negation ask for together. */
function readField<Leaf>(
  fields: Readonly<Record<string, unknown>>,
  [name, notName]: readonly [string, string] | readonly string[],
  attribute: Attribute<Leaf>,
  context: RuleContext,
): Checked<Leaf>[] {
  const values = readValues(fields[name ?? ''], `${context.path}.${name}`, attribute, context);
  const not = readValues(fields[notName ?? ''], `${context.path}.${notName}`, attribute, context);
  if (values.length + not.length === 0) return [];
  return [condition(values, not)];
}

function readValues<Leaf>(
  value: unknown,
  path: string,
  { make }: Attribute<Leaf>,
  context: RuleContext,
): Checked<Leaf>[] {
  if (value === undefined || value === null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item, index) => {
    const isText = Array.isArray(value) && (typeof item === 'string' || typeof item === 'number');
    const made = isText ? make(String(item), context.namespace) : undefined;
    if (made === undefined) {
      context.report({
        code: 'NOT_SUPPORTED',
        path: Array.isArray(value) ? `${path}[${index}]` : path,
        message: `${describe(item)} cannot be compared with anything; ${consequence(context)}`,
        fix: 'use a text, with one "*" at the start or the end, or {*} and {**} as segments of a path',
      });
    }
    return made;
  });
}

function consequence({ unchecked }: RuleContext): string {
  return unchecked === 'never matches' ? 'the rule never matches' : 'the condition is left out';
}

function checkedOnly<Leaf>(list: readonly Checked<Leaf>[]): Expression<Leaf>[] {
  return list.filter((expression) => expression !== undefined);
}
