/**
 * AuthorizationPolicy → AuthorizationPolicyResource.
 *
 * A policy that cannot be read to its last field is refused and its pods are closed: a condition that is skipped could
 * turn a DENY into nothing.  HTTP conditions are the exception istiod makes for its L4 proxy too: an ALLOW rule that has
 * one is dropped, a DENY rule loses the condition, so that either way less gets through than was asked for.  The rules as
 * written are kept beside that for those who see requests.
 */
import type { Authorization } from '../../model/authorization.ts';
import type {
  AuthorizationPolicyResource,
  PolicyTarget,
  ResourceMeta,
} from '../../model/resource.ts';
import type { AuthorizationPolicySpec } from '../../model/resource/security.ts';
import { describe, Fields, type Problem, type Report } from './fields.ts';
import { withoutNulls } from './json.ts';
import { readMetadata } from './metadata.ts';
import { readRules, type RuleReading } from './authorization-rules.ts';

const SPEC_FIELDS = ['selector', 'targetRef', 'targetRefs', 'action', 'provider', 'rules'];
const DRY_RUN_ANNOTATION = 'istio.io/dry-run';
const CLOSED = 'the policy is refused and every connection to the pods it selects is denied';

const GATEWAY_API = 'gateway.networking.k8s.io';

type Action = NonNullable<AuthorizationPolicySpec['action']>;

/** undefined when the policy cannot even be placed (no name). */
export function readAuthorizationPolicy(
  root: Fields,
  file: string,
  report: Report,
): AuthorizationPolicyResource | undefined {
  const metadata = readMetadata(root, 'AuthorizationPolicy', file);
  if (metadata === undefined) return undefined;
  let refused = false;
  const strict = (problem: Problem): void => {
    if (problem.severity === 'warning') {
      report(problem);
      return;
    }
    refused = true;
    report({ ...problem, code: 'POLICY_REFUSED', message: `${problem.message}; ${CLOSED}` });
  };

  const spec = Fields.of(root.raw('spec') ?? {}, 'spec', strict);
  if (spec === undefined) return closedPolicy(metadata.meta, { type: 'all' });
  const target = readTarget(spec);
  spec.only(SPEC_FIELDS);
  const action = readAction(spec);
  const enforced = action === 'ALLOW' ? 'ALLOW' : 'DENY';
  const reading = readRules(spec, enforced, metadata.meta.namespace);
  if (refused) return closedPolicy(metadata.meta, target);
  const l7 = withoutNulls(root.raw('spec') ?? {}) as AuthorizationPolicySpec;
  // Whether a connection may pass is known per request only, so that none may for whoever sees no requests.
  if (target.type === 'references') {
    if (!onlyGateways(spec)) strict(referenceProblem(spec));
    return { ...closedPolicy(metadata.meta, target), l7 };
  }
  if (action === 'CUSTOM') {
    strict(customProblem(spec));
    return { ...closedPolicy(metadata.meta, target), l7 };
  }
  if (action !== 'AUDIT') warnHttp(spec, action, reading);
  return {
    ...metadata.meta,
    kind: 'AuthorizationPolicy',
    target,
    policy: {
      action: enforced,
      rules: action === 'AUDIT' ? [] : reading.rules,
      dryRun: readDryRun(metadata.annotations),
    },
    refused: false,
    l7,
  };
}

/** What stands in for a security resource that is invalid: nothing reaches what it selects. */
export function closedPolicy(
  meta: ResourceMeta,
  target: PolicyTarget,
): AuthorizationPolicyResource {
  const policy = { action: 'DENY', rules: [{ clauses: [] }], dryRun: false } as const;
  return { ...meta, kind: 'AuthorizationPolicy', target, policy, refused: true };
}

/** A target that cannot be read selects the whole namespace: closed is better than open. */
function readTarget(spec: Fields): PolicyTarget {
  if (spec.has('targetRef') || spec.has('targetRefs')) return readTargetRefs(spec);
  if (!spec.has('selector')) return { type: 'all' };
  const selector = spec.mapping('selector');
  const readable = selector.only(['matchLabels']);
  const labels = selector.stringMap('matchLabels');
  return readable && labels.size > 0 ? { type: 'labels', labels } : { type: 'all' };
}

function readTargetRefs(spec: Fields): PolicyTarget {
  const one = spec.has('targetRef') ? [spec.mapping('targetRef')] : [];
  const [services, gateways]: [string[], string[]] = [[], []];
  let readable = true;
  for (const ref of [...one, ...spec.mappings('targetRefs')]) {
    const kind = ref.required('kind');
    const name = ref.required('name');
    if (kind === undefined || name === undefined) readable = false;
    else if (kind === 'Service') services.push(name);
    else if (kind === 'Gateway') gateways.push(name);
  }
  return readable ? { type: 'references', services, gateways } : { type: 'all' };
}

/** Of the Gateway API, whose listeners check every request: no pod is closed for them. */
function onlyGateways(spec: Fields): boolean {
  const one = spec.has('targetRef') ? [spec.mapping('targetRef')] : [];
  const all = [...one, ...spec.mappings('targetRefs')];
  return all.every((ref) => ref.raw('kind') === 'Gateway' && ref.raw('group') === GATEWAY_API);
}

function readAction(spec: Fields): Action {
  const action = spec.string('action') ?? 'ALLOW';
  if (action === 'CUSTOM') {
    if (spec.mapping('provider').required('name') === undefined) return 'DENY';
    return action;
  }
  if (action === 'ALLOW' || action === 'DENY') return action;
  if (action === 'AUDIT') {
    spec.report({
      code: 'NOT_SUPPORTED',
      severity: 'warning',
      key: 'action',
      message: 'AUDIT is not supported and has no effect',
      fix: 'use ALLOW or DENY with the annotation istio.io/dry-run: "true"',
    });
    return action;
  }
  spec.invalid('action', `is ${describe(action)}`, 'use ALLOW or DENY');
  return 'DENY';
}

function referenceProblem(spec: Fields): Problem {
  return {
    code: 'POLICY_REFUSED',
    path: spec.at(spec.has('targetRef') ? 'targetRef' : 'targetRefs'),
    message: 'policies attached by reference are not supported yet',
    fix: 'use spec.selector with the labels of the pods',
  };
}

function customProblem(spec: Fields): Problem {
  return {
    code: 'POLICY_REFUSED',
    path: spec.at('action'),
    message: 'CUSTOM is not supported yet',
    fix: 'use ALLOW or DENY',
  };
}

function readDryRun(annotations: Fields): boolean {
  const value = annotations.raw(DRY_RUN_ANNOTATION);
  if (value === undefined || value === 'false' || value === false) return false;
  if (value === 'true' || value === true) return true;
  annotations.report({
    code: 'ANNOTATION_INVALID',
    key: `'${DRY_RUN_ANNOTATION}'`,
    message: `${describe(value)} is neither "true" nor "false"; the policy is enforced`,
    fix: 'use "true" or "false"',
  });
  return false;
}

function warnHttp(spec: Fields, action: Authorization['action'], reading: RuleReading): void {
  if (reading.httpFields.length === 0) return;
  const names = [...new Set(reading.httpFields)].sort().join(', ');
  const effect =
    action === 'ALLOW'
      ? 'the rules that use them never match, so less is allowed than asked for'
      : 'they are left out, so more is denied than asked for';
  spec.report({
    code: 'POLICY_L7_IGNORED',
    severity: 'warning',
    key: 'rules',
    message: `conditions on HTTP cannot be checked per connection (${names}): ${effect}`,
    fix: 'use principals, namespaces, ipBlocks and ports, or enforce HTTP rules at a waypoint',
  });
}
