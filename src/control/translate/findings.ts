/**
 * What only shows when resources are put together: references and selectors that lead nowhere.
 */
import type { Finding } from '../../model/finding.ts';
import type {
  EndpointSliceResource,
  PodResource,
  Resource,
  ServiceResource,
} from '../../model/resource.ts';

export function matchesNothing(resource: Resource, path: string): Finding {
  return {
    ...place(resource, path),
    code: 'SELECTOR_MATCHES_NOTHING',
    message: 'selects no pod',
    fix: 'compare it with metadata.labels of the pods it is meant for',
  };
}

export function targetPortUnknown(service: ServiceResource, pods: number): Finding {
  return {
    ...place(service, 'spec.ports'),
    code: 'TARGET_PORT_UNKNOWN',
    message: `${pods} of its pods have no container port of the name in targetPort`,
    fix: 'name the port in spec.containers[].ports of the pods, or use a number',
  };
}

export function serviceUnknown(slice: EndpointSliceResource): Finding {
  return {
    ...place(slice, "metadata.labels['kubernetes.io/service-name']"),
    code: 'SERVICE_UNKNOWN',
    message: `names the Service ${slice.service}, which does not exist`,
    fix: `add Service ${slice.namespace}/${slice.service}, or correct the label`,
  };
}

export function selectedByOlder(resource: Resource, older: Resource, pod: PodResource): Finding {
  return {
    ...place(resource, 'spec.selector'),
    code: 'SCOPE_CONFLICT',
    message: `selects pods (${pod.name}) that ${older.id} selects, which is older; this one is not used there`,
    fix: 'put both into one, or let them select different pods',
  };
}

export function rootSelectorUnused(resource: Resource): Finding {
  return {
    ...place(resource, 'spec.selector'),
    code: 'FIELD_UNUSED',
    message: `selects no pod in ${resource.namespace}, whose resources are for the whole mesh; it has no effect`,
    fix: 'put it into the namespace of the pods, or remove the selector',
  };
}

function place(
  resource: Resource,
  path: string,
): Pick<Finding, 'severity' | 'file' | 'resource' | 'path'> {
  return { severity: 'warning', file: resource.file, resource: resource.id, path };
}
