/**
 * References into another namespace need a ReferenceGrant there.
 */
import type { ObjectReference } from '../../../../model/resource/gateway-api.ts';
import type { ApiReport } from './report.ts';
import { API_GROUP, type ApiView } from './view.ts';

export interface Referrer {
  readonly kind: string;
  readonly namespace: string;
}

export function isPermitted(from: Referrer, to: ObjectReference, view: ApiView): boolean {
  const namespace = to.namespace ?? from.namespace;
  if (namespace === from.namespace) return true;
  const kind = kindOf(from);
  return view
    .grants(namespace)
    .some(
      ({ spec }) =>
        spec.from.some(
          (one) => one.group === API_GROUP && one.kind === kind && one.namespace === from.namespace,
        ) &&
        spec.to.some(
          (one) =>
            one.group === to.group && one.kind === to.kind && (one.name || to.name) === to.name,
        ),
    );
}

export function reportNotPermitted(
  from: Referrer,
  { kind, name, namespace = from.namespace }: ObjectReference,
  path: string,
  report: ApiReport,
): void {
  const message = `no ReferenceGrant of ${namespace} allows ${kindOf(from)}s of ${from.namespace} to refer to ${kind} ${name}`;
  const fix = `add a ReferenceGrant to ${namespace}`;
  report.reference('RefNotPermitted', 'REFERENCE_NOT_PERMITTED', path, message, fix);
}

function kindOf({ kind }: Referrer): string {
  return kind === 'GatewayApiGateway' ? 'Gateway' : kind;
}
