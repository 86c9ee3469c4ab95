/**
 * EndpointSlice → EndpointSliceResource.
 */
import { parseIp, type Ip } from '../../model/ip.ts';
import type {
  ContainerPort,
  EndpointResource,
  EndpointSliceResource,
} from '../../model/resource.ts';
import { describe, type Fields } from './fields.ts';
import { readMetadata } from './metadata.ts';

const SERVICE_LABEL = 'kubernetes.io/service-name';

export function readEndpointSlice(root: Fields, file: string): EndpointSliceResource | undefined {
  const metadata = readMetadata(root, 'EndpointSlice', file);
  if (metadata === undefined) return undefined;
  const service = metadata.meta.labels.get(SERVICE_LABEL);
  if (service === undefined || service === '') {
    metadata.fields.report({
      code: 'FIELD_MISSING',
      key: `labels['${SERVICE_LABEL}']`,
      message: 'is missing, so the endpoints belong to no Service',
      fix: "set it to the Service's name",
    });
    return undefined;
  }
  if (root.string('addressType') === 'FQDN') {
    root.report({
      code: 'NOT_SUPPORTED',
      key: 'addressType',
      message: 'FQDN endpoints are not supported: the kernel balances addresses',
      fix: 'use addressType IPv4 or IPv6',
    });
    return undefined;
  }
  return {
    ...metadata.meta,
    kind: 'EndpointSlice',
    service,
    ports: root.mappings('ports').flatMap(readPort),
    endpoints: root.mappings('endpoints').flatMap(readEndpoint),
  };
}

function readPort(fields: Fields): ContainerPort[] {
  const port = fields.port('port');
  if (port === undefined || (fields.string('protocol') ?? 'TCP') !== 'TCP') return [];
  return [{ name: fields.string('name') ?? '', port }];
}

function readEndpoint(fields: Fields): EndpointResource[] {
  const addresses: Ip[] = [];
  fields.strings('addresses').forEach((text, index) => {
    const ip = parseIp(text);
    if (ip !== undefined) addresses.push(ip);
    else {
      const fix = 'use an IPv4 or IPv6 address';
      fields.invalid(`addresses[${index}]`, `${describe(text)} is no IP address`, fix);
    }
  });
  const conditions = fields.mapping('conditions');
  // Absent means ready, as in Kubernetes.
  const ready = !conditions.has('ready') || conditions.boolean('ready');
  const target = fields.mapping('targetRef');
  const pod = target.string('kind') === 'Pod' ? target.string('name') : undefined;
  const node = fields.string('nodeName') ?? '';
  const zone = fields.string('zone') ?? '';
  return addresses.length > 0 ? [{ addresses, ready, pod, node, zone }] : [];
}
