/**
 * References of Gateway API resources into another namespace need a ReferenceGrant there.
 */
import type { ObjectReference } from '../../../model/resource/gateway-api.ts';
import type { Catalog } from './catalog.ts';

const API_GROUP = 'gateway.networking.k8s.io';

export class ReferenceGrants {
  readonly #catalog: Catalog;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  allows(
    from: { readonly kind: string; readonly namespace: string },
    to: Omit<ObjectReference, 'namespace'> & { readonly namespace: string },
  ): boolean {
    if (from.namespace === to.namespace) return true;
    const kind = from.kind === 'GatewayApiGateway' ? 'Gateway' : from.kind;
    return this.#catalog
      .read('ReferenceGrant', to.namespace)
      .some(
        ({ spec }) =>
          spec.from.some(
            (allowed) =>
              allowed.group === API_GROUP &&
              allowed.kind === kind &&
              allowed.namespace === from.namespace,
          ) &&
          spec.to.some(
            (granted) =>
              granted.group === to.group &&
              granted.kind === to.kind &&
              (granted.name === undefined || granted.name === '' || granted.name === to.name),
          ),
      );
  }
}
