/**
 * A route of the Gateway API as a unit of its own: what is to be said about it.  Its messages are those of its parents.
 */
import type { Finding } from '../../../model/finding.ts';
import type { ParentReference } from '../../../model/resource/gateway-api.ts';
import { openView } from './api-view.ts';
import { Client } from './client.ts';
import { isOwnClass } from './gateway-api/attachment.ts';
import { ownsParent, routeVerdict } from './gateway-api/route-verdict.ts';
import { judged } from './gateway-api/verdict.ts';
import type { ApiRoute } from './gateway-api/view.ts';
import { EMPTY_PRODUCT, type Product } from './graph.ts';
import type { Parts } from './parts.ts';

export function compileApiRoute(parts: Parts, kind: ApiRoute['kind'], key: string): Product {
  const [route] = parts.catalog.read(kind, key);
  if (route === undefined) return EMPTY_PRODUCT;
  const { view } = openView(parts, Client.gateway(route.namespace));
  const verdict = routeVerdict(route, view);
  return { ...EMPTY_PRODUCT, findings: verdict.findings, verdict };
}

/** What it would be told if it were part of the mesh, in place of one of its id. */
export function previewApiRoute(parts: Parts, route: ApiRoute): readonly Finding[] {
  const { view } = openView(parts, Client.gateway(route.namespace), route);
  return routeVerdict(route, view).findings;
}

export function compileGatewayClass(parts: Parts, name: string): Product {
  const [found] = parts.catalog.read('GatewayClass', name);
  if (found === undefined) return EMPTY_PRODUCT;
  const { view } = openView(parts, Client.gateway(''));
  const kind = isOwnClass(name, view) ? 'class' : 'foreign';
  return { ...EMPTY_PRODUCT, verdict: { kind, ...judged(found) } };
}

/** Whose statuses are podwire's to write, also of resources that validation has refused. */
export interface Ownership {
  ownsClass(name: string): boolean;
  ownsParent(parent: ParentReference, routeNamespace: string): boolean;
}

export function ownership(parts: Parts): Ownership {
  const { view } = openView(parts, Client.gateway(''));
  return {
    ownsClass: (name) => isOwnClass(name, view),
    ownsParent: (parent, routeNamespace) => ownsParent(parent, routeNamespace, view),
  };
}
