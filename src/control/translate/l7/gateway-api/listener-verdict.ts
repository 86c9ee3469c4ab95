/**
 * What a Gateway's status says of one of its listeners.
 */
import type { GatewayApiListener } from '../../../../model/resource/gateway-api.ts';
import { admittedKinds, protocolKinds } from './attachment.ts';
import type { ListenerConflict } from './listener-conflicts.ts';
import type { ApiReport } from './report.ts';
import { API_GROUP } from './view.ts';

export interface Verdict {
  readonly ok: boolean;
  readonly reason: string;
  readonly message: string;
}

export interface ListenerVerdict {
  readonly name: string;
  readonly attachedRoutes: number;
  /** of API_GROUP */
  readonly supportedKinds: readonly string[];
  readonly accepted: Verdict;
  /** ok: there is none */
  readonly conflicted: Verdict;
  readonly resolvedRefs: Verdict;
  readonly programmed: Verdict;
}

interface Facts {
  readonly listener: GatewayApiListener;
  readonly path: string;
  readonly attached: number;
  readonly conflict: ListenerConflict | undefined;
  /** it has the certificates it needs */
  readonly served: boolean;
}

const MESSAGES: Readonly<Record<ListenerConflict, string>> = {
  ProtocolConflict: 'another listener has the port for another protocol',
  HostnameConflict: 'another listener has the same port and host name',
};

export function listenerVerdict(facts: Facts, report: ApiReport): ListenerVerdict {
  const { listener, path, conflict } = facts;
  const kinds = admittedKinds(listener);
  const known = protocolKinds(listener).length > 0;
  if (!known) {
    const message = `podwire serves no ${listener.protocol}`;
    report.warn('NOT_SUPPORTED', `${path}.protocol`, message, 'use HTTP, HTTPS, TLS or TCP');
  }
  if (conflict !== undefined) {
    report.warn('HOST_CONFLICT', path, MESSAGES[conflict], 'remove one of them');
  }
  const badKind = known ? unknownKind(listener) : undefined;
  if (badKind !== undefined) {
    const message = `a listener for ${listener.protocol} takes no ${badKind}`;
    const at = `${path}.allowedRoutes.kinds`;
    report.warn('NOT_SUPPORTED', at, message, `use ${protocolKinds(listener).join(', ')}`);
  }
  const accepted = !known
    ? no('UnsupportedProtocol', `podwire serves no ${listener.protocol}`)
    : conflict === undefined
      ? yes('Accepted')
      : no(conflict, MESSAGES[conflict]);
  const { unresolved } = report;
  const resolvedRefs =
    unresolved !== undefined
      ? no(unresolved.reason, unresolved.message)
      : badKind === undefined
        ? yes('ResolvedRefs')
        : no('InvalidRouteKinds', badKind);
  return {
    name: listener.name,
    attachedRoutes: facts.attached,
    supportedKinds: kinds,
    accepted,
    conflicted: conflict === undefined ? yes('NoConflicts') : no(conflict, MESSAGES[conflict]),
    resolvedRefs,
    programmed:
      accepted.ok && facts.served
        ? yes('Programmed')
        : no('Invalid', blame(accepted, resolvedRefs)),
  };
}

function unknownKind(listener: GatewayApiListener): string | undefined {
  const possible: readonly string[] = protocolKinds(listener);
  return listener.allowedRoutes.kinds?.find(
    ({ group, kind }) => group !== API_GROUP || !possible.includes(kind),
  )?.kind;
}

function blame(accepted: Verdict, resolvedRefs: Verdict): string {
  return accepted.ok ? resolvedRefs.message : accepted.message;
}

function yes(reason: string): Verdict {
  return { ok: true, reason, message: '' };
}

function no(reason: string, message: string): Verdict {
  return { ok: false, reason, message };
}
