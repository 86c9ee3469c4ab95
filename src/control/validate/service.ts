/**
 * Service → ServiceResource.  Only TCP ports are kept: podwire leaves UDP and SCTP to kube-proxy.
 */
import { parseIp, type Ip } from '../../model/ip.ts';
import type {
  ReachableAddress,
  ServiceResource,
  ServiceResourcePort,
} from '../../model/resource.ts';
import {
  LB_ANNOTATION,
  MAX_CONNECTIONS_ANNOTATION,
  warnUnknownAnnotations,
} from './annotations.ts';
import { describe, type Fields } from './fields.ts';
import { readMetadata } from './metadata.ts';
import { readBalancing } from './service-balancing.ts';

const EXPORT_TO_ANNOTATION = 'networking.istio.io/exportTo';

export function readService(root: Fields, file: string): ServiceResource | undefined {
  const metadata = readMetadata(root, 'Service', file);
  if (metadata === undefined) return undefined;
  const spec = root.mapping('spec');
  if (spec.string('type') === 'ExternalName') {
    spec.report({
      code: 'NOT_SUPPORTED',
      severity: 'warning',
      key: 'type',
      message: 'an ExternalName Service is a DNS name and has nothing to balance',
      fix: 'nothing to do: clients resolve the name themselves',
    });
    return undefined;
  }
  warnUnknownAnnotations(metadata.annotations, [LB_ANNOTATION, MAX_CONNECTIONS_ANNOTATION]);
  const selector = spec.stringMap('selector');
  return {
    ...metadata.meta,
    kind: 'Service',
    addresses: readClusterIps(spec),
    ports: readPorts(spec),
    selector: selector.size > 0 ? selector : undefined,
    publishNotReady: spec.boolean('publishNotReadyAddresses'),
    ...readIngress(root),
    ...readExportTo(metadata.annotations),
    ...readBalancing(spec, metadata.annotations),
  };
}

function readIngress(root: Fields): Pick<ServiceResource, 'ingress'> {
  const list = root.mapping('status').mapping('loadBalancer').mappings('ingress');
  const ingress = list.flatMap((fields): ReachableAddress[] => {
    const ip = fields.string('ip');
    if (ip) return [{ type: 'IPAddress', value: ip }];
    const hostname = fields.string('hostname');
    return hostname ? [{ type: 'Hostname', value: hostname }] : [];
  });
  return ingress.length > 0 ? { ingress } : {};
}

/** "a,b"; Istio's values: a namespace, "." for its own, "*" for all, "~" for none */
function readExportTo(annotations: Fields): Pick<ServiceResource, 'exportTo'> {
  const value = annotations.string(EXPORT_TO_ANNOTATION);
  if (value === undefined || value.trim() === '') return {};
  return { exportTo: value.split(',').map((item) => item.trim()) };
}

function readClusterIps(spec: Fields): readonly Ip[] {
  const many = spec.strings('clusterIPs');
  const one = spec.string('clusterIP');
  const found = many.length > 0 ? many : one === undefined || one === '' ? [] : [one];
  const addresses = new Set<Ip>();
  found.forEach((text, index) => {
    if (text === 'None') return;
    const ip = parseIp(text);
    if (ip !== undefined) {
      addresses.add(ip);
    } else {
      const key = many.length > 0 ? `clusterIPs[${index}]` : 'clusterIP';
      const fix = 'use an IPv4 or IPv6 address, or None for a headless Service';
      spec.invalid(key, `${describe(text)} is no IP address`, fix);
    }
  });
  return [...addresses];
}

/** A port that cannot be read is left out; the others still apply. */
function readPorts(spec: Fields): ServiceResourcePort[] {
  const list = spec.mappings('ports');
  const ports: ServiceResourcePort[] = [];
  for (const fields of list) {
    const port = fields.port('port');
    if (port === undefined) continue;
    const targetPort = fields.portOrName('targetPort', port);
    const name = fields.string('name') ?? '';
    if (targetPort === undefined || (fields.string('protocol') ?? 'TCP') !== 'TCP') continue;
    if (ports.some((other) => other.port === port || other.name === name)) {
      fields.invalid(
        ports.some((other) => other.port === port) ? 'port' : 'name',
        'is used by an earlier port of this Service; this one is left out',
        'give every port its own number and, when there are several, its own name',
      );
      continue;
    }
    const appProtocol = fields.string('appProtocol');
    ports.push({ name, port, targetPort, ...(appProtocol && { appProtocol }) });
  }
  return ports;
}
