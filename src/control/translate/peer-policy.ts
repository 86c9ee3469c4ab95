/**
 * PeerAuthentications → istio.security.Authorizations, under the names istiod gives them in ambient mode: nobody else is
 * told of a PeerAuthentication.
 *
 * A workload lists at most one of them.  STRICT on every port is one policy for the whole mesh; ports that differ make
 * the selecting PeerAuthentication a policy of its own.  DISABLE is PERMISSIVE: no mode refuses mTLS.
 *
 * Where istiod 1.25 errs these are as Istio documents the modes: below a STRICT mesh it forgets STRICT ports of a PERMISSIVE
 * workload, and names a policy that it does not send where the namespace says UNSET; a DISABLE port of a workload that
 * inherits STRICT stays closed there.
 */
import {
  authorizationKey,
  EMPTY_MATCH,
  type Authorization,
  type Clause,
  type Match,
  type Rule,
} from '../../model/authorization.ts';
import type { PeerAuthenticationResource } from '../../model/resource/security.ts';
import { peerMtls, type AppliedPeers } from './peer-mtls.ts';

/** "_" is illegal in Kubernetes names, so no user's policy can be taken for these. */
const STATIC_STRICT = 'istio_converted_static_strict';
const CONVERTED_PREFIX = 'converted_peer_authentication_';

const ANONYMOUS: Match = { ...EMPTY_MATCH, notPrincipals: [{ type: 'presence' }] };

/** STRICT on every port. */
export function staticStrictPolicy(rootNamespace: string): Authorization {
  const name = { namespace: rootNamespace, name: STATIC_STRICT };
  return denial(name, [{ clauses: [clause(ANONYMOUS)] }]);
}

/** Of one that selects pods, where its ports differ from the rest; undefined: they do not. */
export function convertedPolicy(applied: AppliedPeers): Authorization | undefined {
  const { workload } = applied;
  if (workload === undefined) return undefined;
  const rules = portRules(applied);
  if (rules.length === 0) return undefined;
  return denial(convertedName(workload), rules);
}

/** Of its policy, should it need one of its own. */
export function convertedName({
  namespace,
  name,
}: PeerAuthenticationResource): Pick<Authorization, 'namespace' | 'name'> {
  return { namespace, name: CONVERTED_PREFIX + name };
}

/** Of what a workload lists; undefined: nothing is refused for want of an identity */
export function peerPolicyKey(applied: AppliedPeers, rootNamespace: string): string | undefined {
  const { workload } = applied;
  if (workload !== undefined && portRules(applied).length > 0) {
    return authorizationKey(convertedName(workload));
  }
  if (peerMtls(applied).mode !== 'STRICT') return undefined;
  return authorizationKey({ namespace: rootNamespace, name: STATIC_STRICT });
}

/** Denies what has no identity, at some ports or at all but some. */
function portRules(applied: AppliedPeers): Rule[] {
  const { mode, ports } = peerMtls(applied);
  const portsOf = (strict: boolean): number[] =>
    [...ports].flatMap(([port, found]) => ((found === 'STRICT') === strict ? [port] : []));
  if (mode !== 'STRICT') {
    return portsOf(true).map((port) => ({
      clauses: [clause({ ...ANONYMOUS, destinationPorts: [port] })],
    }));
  }
  const open = portsOf(false);
  if (open.length === 0) return [];
  const others = open.map((port) => clause({ ...EMPTY_MATCH, notDestinationPorts: [port] }));
  return [{ clauses: [clause(ANONYMOUS), ...others] }];
}

function clause(match: Match): Clause {
  return { matches: [match] };
}

function denial(
  name: Pick<Authorization, 'namespace' | 'name'>,
  rules: readonly Rule[],
): Authorization {
  return { ...name, scope: 'WORKLOAD_SELECTOR', action: 'DENY', rules, dryRun: false };
}
