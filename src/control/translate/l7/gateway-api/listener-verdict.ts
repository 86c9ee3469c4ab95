/**
 * What a Gateway's status says of one of its listeners.
 */
import type { GatewayApiListener } from '../../../../model/resource/gateway-api.ts';
import { BYTES_CLOSED } from '../http-listener.ts';
import { admittedKinds, protocolKinds } from './attachment.ts';
import type { ListenerConflict } from './listener-conflicts.ts';
import type { ApiReport } from './report.ts';
import { no, yes, type ListenerVerdict, type Verdict } from './verdict.ts';
import { API_GROUP } from './view.ts';

interface Facts {
  readonly listener: GatewayApiListener;
  readonly path: string;
  readonly attached: number;
  readonly conflict: ListenerConflict | undefined;
  /** names of the HTTPS listeners of its port that a host name may mean, too */
  readonly overlaps: readonly string[];
  /** it has the certificates it needs */
  readonly served: boolean;
  /** a policy of the gateway would be passed by its bytes */
  readonly closed: boolean;
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
  if (facts.closed) report.warn('NOT_SUPPORTED', path, BYTES_CLOSED.message, BYTES_CLOSED.fix);
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
        : no('InvalidRouteKinds', `a listener for ${listener.protocol} takes no ${badKind}`);
  return {
    name: listener.name,
    attachedRoutes: facts.attached,
    supportedKinds: kinds,
    accepted,
    conflicted: conflict === undefined ? yes('NoConflicts') : no(conflict, MESSAGES[conflict]),
    resolvedRefs,
    programmed:
      accepted.ok && facts.closed
        ? no('Invalid', BYTES_CLOSED.message)
        : accepted.ok && facts.served
          ? yes('Programmed')
          : no('Invalid', blame(accepted, resolvedRefs)),
    overlappingTls: overlapping(facts.overlaps),
  };
}

/** A browser may use one connection for both, and then meets the listener it was opened to. */
function overlapping(names: readonly string[]): Verdict | undefined {
  if (names.length === 0) return undefined;
  const message = `host names in common with: ${names.join(', ')}`;
  return no('OverlappingHostnames', message);
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
