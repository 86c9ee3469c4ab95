/**
 * The identity of a node that joined by a token: spiffe://TRUST-DOMAIN/node/NAME.
 *
 * It is not of the form of a workload's identity on purpose: no peer of the mesh takes it for one, so a node's certificate
 * opens control and nothing else.
 */
import { SPIFFE_SCHEME } from './identity.ts';

export function formatNodeIdentity(trustDomain: string, node: string): string {
  return `${SPIFFE_SCHEME}${trustDomain}/node/${node}`;
}
