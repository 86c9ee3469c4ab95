/**
 * What only shows when the resources of a mesh are put together, change by change.  Resources of the Gateway API are judged
 * where they are translated: see translate/l7/gateway-api/verdict.ts.
 */
import type { Finding } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';
import type { ResourceChange } from '../../resource-index.ts';
import { checkRule, checkScope } from './destination-rule.ts';
import { keysOf } from './keys.ts';
import type { MeshNames } from './names.ts';
import { checkTargets } from './policy-target.ts';
import { ReferenceGraph, type View } from './reference-graph.ts';
import { checkAlone } from './scope.ts';
import { SelectorChecks } from './selectors.ts';
import { checkRoutes } from './virtual-service.ts';

export class MeshChecks {
  readonly #graph: ReferenceGraph;
  readonly #selectors: SelectorChecks;

  constructor(names: MeshNames) {
    this.#graph = new ReferenceGraph({
      provides: (resource) => keysOf(resource, names.domain),
      check: (resource, view) => check(resource, view, names),
    });
    this.#selectors = new SelectorChecks(names);
  }

  /** Gives how many resources were looked at. */
  apply(changes: readonly ResourceChange[]): number {
    this.#selectors.apply(changes);
    return this.#graph.apply(changes);
  }

  findings(): Finding[] {
    return [...this.#graph.findings(), ...this.#selectors.findings()];
  }

  /** What the resource would be told if it were part of the mesh, in place of one of its id. */
  preview(resource: Resource): Finding[] {
    return [...this.#graph.preview(resource), ...this.#selectors.preview(resource)];
  }
}

function check(resource: Resource, view: View, names: MeshNames): Finding[] | undefined {
  switch (resource.kind) {
    case 'VirtualService':
      return checkRoutes(resource, view, names);
    case 'DestinationRule':
      return checkRule(resource, view, names);
    case 'Sidecar':
      return [...checkScope(resource, view, names), ...checkAlone(resource, view)];
    case 'PeerAuthentication':
      return checkAlone(resource, view);
    case 'AuthorizationPolicy':
    case 'RequestAuthentication':
      return checkTargets(resource, view);
    default:
      return undefined;
  }
}
