/**
 * Verdicts → the statuses of Gateways, GatewayClasses and routes, as the Gateway API has them.
 *
 * What belongs to others stays: conditions of types podwire has none of, and all that a route says of parents under another
 * controller's name.  A resource whose class is another controller's gets nothing at all.
 */
import { formatFinding, type Finding } from '../../model/finding.ts';
import { CONTROLLER_NAME, type ParentReference } from '../../model/resource/gateway-api.ts';
import type { Ownership } from '../translate/l7/api-route.ts';
import type {
  ApiVerdict,
  GatewayVerdict,
  ListenerVerdict,
  ParentVerdict,
  RouteVerdict,
  Verdict,
} from '../translate/l7/gateway-api/verdict.ts';
import {
  condition,
  findingsText,
  mergeConditions,
  type Condition,
  type Observation,
  type WantedCondition,
} from './conditions.ts';
import type { StatusReport } from './report.ts';

/** As it comes from the API server, as far as it is looked at. */
export interface ApiObject {
  readonly metadata: { readonly generation?: number; readonly resourceVersion?: string };
  readonly spec?: {
    readonly parentRefs?: readonly RawParent[];
    readonly gatewayClassName?: string;
    readonly controllerName?: string;
  };
  readonly status?: ApiStatus;
}

type RawParent = Partial<ParentReference> & Pick<ParentReference, 'name'>;

interface ParentStatus {
  readonly parentRef: RawParent;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly attachedRoutes: number;
  readonly conditions?: readonly Condition[];
}

/** The lists that podwire writes; one that is absent is left alone. */
export interface ApiStatus {
  readonly conditions?: readonly Condition[];
  readonly parents?: readonly ParentStatus[];
  readonly listeners?: readonly ListenerStatus[];
  readonly addresses?: readonly { readonly type?: string; readonly value: string }[];
  readonly supportedFeatures?: readonly { readonly name: string }[];
}

const GROUP = 'gateway.networking.k8s.io';
/** the most a route's status may have, of all controllers */
const MAX_PARENTS = 32;

/** What the status should say, all of each list; undefined: nothing (now). */
export function apiStatus(
  kind: string,
  namespace: string,
  object: ApiObject,
  { findings, verdict }: StatusReport,
  ownership: Ownership,
  now: string,
): ApiStatus | undefined {
  const { generation } = object.metadata;
  // An older one was judged: the verdict on this one is on its way.
  if (verdict?.generation !== undefined && verdict.generation !== generation) return undefined;
  const observation = { generation, now };
  if (verdict !== undefined) return judgedStatus(object, verdict, findings, observation);
  if (!findings.some(({ severity }) => severity === 'error')) return undefined;
  return refusedStatus(kind, namespace, object, findings, ownership, observation);
}

function judgedStatus(
  object: ApiObject,
  verdict: ApiVerdict,
  findings: readonly Finding[],
  observation: Observation,
): ApiStatus | undefined {
  const { status = {} } = object;
  switch (verdict.kind) {
    case 'foreign':
      return undefined;
    case 'class': {
      const accepted = condition('Accepted', true, 'Accepted', findingsText(findings));
      return { conditions: mergeConditions(status.conditions ?? [], [accepted], observation) };
    }
    case 'gateway':
      return gatewayStatus(status, verdict, findings, observation);
    case 'route': {
      const wanted = verdict.parents.map((parent) => ({
        parentRef: object.spec?.parentRefs?.[parent.index] ?? parent.parentRef,
        conditions: parentConditions(parent, verdict, findings),
      }));
      return { parents: mergeParents(status.parents ?? [], wanted, observation) };
    }
  }
}

/** Validation has left it out as a whole: nobody knows more of it than its text. */
function refusedStatus(
  kind: string,
  namespace: string,
  { spec = {}, status = {} }: ApiObject,
  findings: readonly Finding[],
  ownership: Ownership,
  observation: Observation,
): ApiStatus | undefined {
  const text = findingsText(findings);
  const no = (type: string, reason: string) => condition(type, false, reason, text);
  if (kind === 'GatewayClass' || kind === 'Gateway') {
    const isClass = kind === 'GatewayClass';
    const own = isClass
      ? spec.controllerName === CONTROLLER_NAME
      : ownership.ownsClass(spec.gatewayClassName ?? '');
    if (!own) return undefined;
    const wanted = isClass
      ? [no('Accepted', 'Unsupported')]
      : [no('Accepted', 'Invalid'), no('Programmed', 'Invalid')];
    return { conditions: mergeConditions(status.conditions ?? [], wanted, observation) };
  }
  const own = (spec.parentRefs ?? []).filter((one) =>
    ownership.ownsParent(withDefaults(one), namespace),
  );
  const conditions = [no('Accepted', 'UnsupportedValue')];
  const wanted = own.map((parentRef) => ({ parentRef, conditions }));
  return { parents: mergeParents(status.parents ?? [], wanted, observation) };
}

function gatewayStatus(
  status: ApiStatus,
  { accepted, programmed, addresses, listeners, references }: GatewayVerdict,
  findings: readonly Finding[],
  observation: Observation,
): ApiStatus {
  const notes = without(findings, references);
  const own = notes.filter(({ path }) => !path.startsWith('spec.listeners['));
  const wanted = [said('Accepted', accepted, findingsText(own)), said('Programmed', programmed)];
  return {
    conditions: mergeConditions(status.conditions ?? [], wanted, observation),
    addresses,
    listeners: listeners.map((listener, index) => {
      const before = status.listeners?.find(({ name }) => name === listener.name);
      const about = notes.filter(({ path }) => isBelow(path, `spec.listeners[${index}]`));
      const { name, supportedKinds, attachedRoutes } = listener;
      return {
        name,
        supportedKinds: supportedKinds.map((kind) => ({ group: GROUP, kind })),
        attachedRoutes,
        conditions: mergeConditions(
          before?.conditions ?? [],
          listenerConditions(listener, findingsText(about)),
          observation,
          ['OverlappingTLSConfig'],
        ),
      };
    }),
  };
}

function listenerConditions(listener: ListenerVerdict, notes: string): WantedCondition[] {
  const { accepted, programmed, resolvedRefs, conflicted, overlappingTls } = listener;
  return [
    said('Accepted', accepted, notes),
    said('Programmed', programmed),
    said('ResolvedRefs', resolvedRefs),
    // These two are bad news when they are True.
    condition('Conflicted', !conflicted.ok, conflicted.reason, conflicted.message),
    ...(overlappingTls === undefined
      ? []
      : [condition('OverlappingTLSConfig', true, overlappingTls.reason, overlappingTls.message)]),
  ];
}

function parentConditions(
  { index, accepted, resolvedRefs, partiallyInvalid }: ParentVerdict,
  { references }: RouteVerdict,
  findings: readonly Finding[],
): WantedCondition[] {
  const about = without(findings, references).filter(
    ({ path }) =>
      !path.startsWith('spec.parentRefs[') || isBelow(path, `spec.parentRefs[${index}]`),
  );
  return [
    said('Accepted', accepted, findingsText(about)),
    said('ResolvedRefs', resolvedRefs),
    ...(partiallyInvalid === undefined
      ? []
      : [condition('PartiallyInvalid', true, partiallyInvalid.reason, partiallyInvalid.message)]),
  ];
}

/** In the order that is there: two controllers that sort would write for ever. */
function mergeParents(
  present: readonly ParentStatus[],
  wanted: readonly {
    readonly parentRef: RawParent;
    readonly conditions: readonly WantedCondition[];
  }[],
  observation: Observation,
): readonly ParentStatus[] {
  const missing = [...wanted];
  const merge = (before: readonly Condition[], after: readonly WantedCondition[]) =>
    mergeConditions(before, after, observation, ['PartiallyInvalid']);
  const parents = present.flatMap((one): ParentStatus[] => {
    if (one.controllerName !== CONTROLLER_NAME) return [one];
    const at = missing.findIndex(({ parentRef }) => isSame(parentRef, one.parentRef));
    const [found] = at < 0 ? [] : missing.splice(at, 1);
    if (found === undefined) return [];
    return [{ ...one, conditions: merge(one.conditions ?? [], found.conditions) }];
  });
  const room = Math.max(0, MAX_PARENTS - parents.length);
  for (const { parentRef, conditions } of missing.slice(0, room)) {
    parents.push({
      parentRef,
      controllerName: CONTROLLER_NAME,
      conditions: merge([], conditions),
    });
  }
  return parents;
}

/** A namespace that is absent is the route's own, which all of them have in common. */
function isSame(a: RawParent, b: RawParent): boolean {
  const [left, right] = [withDefaults(a), withDefaults(b)];
  return (['group', 'kind', 'namespace', 'name', 'sectionName', 'port'] as const).every(
    (key) => left[key] === right[key],
  );
}

function withDefaults(parent: RawParent): ParentReference {
  return { group: GROUP, kind: 'Gateway', ...parent };
}

/** `notes`: what else there is to say about what is taken */
function said(type: string, { ok, reason, message }: Verdict, notes = ''): WantedCondition {
  const text = notes.includes(message) ? notes : [message, notes].filter(Boolean).join('; ');
  return condition(type, ok, reason, text);
}

function without(findings: readonly Finding[], others: readonly Finding[]): readonly Finding[] {
  const texts = new Set(others.map(formatFinding));
  return findings.filter((finding) => !texts.has(formatFinding(finding)));
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`);
}
