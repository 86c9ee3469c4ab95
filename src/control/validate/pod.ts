/**
 * Pod → PodResource.
 */
import { parseIp, type Ip } from '../../model/ip.ts';
import type { ContainerPort, PodResource } from '../../model/resource.ts';
import {
  CAPTURE_ANNOTATION,
  NETNS_ANNOTATION,
  SAME_NODE_ANNOTATION,
  REDIRECTION_ANNOTATION,
  SPLICE_ANNOTATION,
  WEIGHT_ANNOTATION,
  readCaptureProxy,
  readNetns,
  readSameNodeTunnel,
  readSplice,
  readWeight,
  warnUnknownAnnotations,
} from './annotations.ts';
import { describe, isPort, type Fields } from './fields.ts';
import { readMetadata } from './metadata.ts';
import { readProbePorts } from './probe-ports.ts';

const KNOWN = [
  NETNS_ANNOTATION,
  CAPTURE_ANNOTATION,
  SAME_NODE_ANNOTATION,
  SPLICE_ANNOTATION,
  WEIGHT_ANNOTATION,
];
const DATAPLANE_MODE = 'istio.io/dataplane-mode';
const TUNNEL_LABEL = 'networking.istio.io/tunnel';

type PodTunnel = Pick<PodResource, 'hbone' | 'nativeTunnel'>;

/** undefined when the pod has no part in the mesh: refused (and reported), or already over. */
export function readPod(root: Fields, file: string): PodResource | undefined {
  const metadata = readMetadata(root, 'Pod', file);
  if (metadata === undefined) return undefined;
  const { meta, annotations } = metadata;
  const spec = root.mapping('spec');
  const status = root.mapping('status');
  const phase = status.string('phase');
  if (phase === 'Succeeded' || phase === 'Failed') return undefined;

  const addresses = readAddresses(status);
  if (addresses === undefined) return undefined;
  warnUnknownAnnotations(annotations, KNOWN);
  const netns = readNetns(annotations);
  const splice = readSplice(annotations);
  const hostNetwork = spec.boolean('hostNetwork');
  if (hostNetwork && netns !== undefined) {
    annotations.report({
      code: 'NETNS_INVALID',
      key: `'${NETNS_ANNOTATION}'`,
      message: "is set on a pod of the node's own network, which is never enrolled",
      fix: 'remove the annotation or spec.hostNetwork',
    });
  }
  const mode = meta.labels.get(DATAPLANE_MODE) ?? annotations.raw(DATAPLANE_MODE);
  const containers = spec.mappings('containers');
  return {
    kind: 'Pod',
    addresses,
    hostNetwork,
    serviceAccount: spec.string('serviceAccountName') || 'default',
    node: spec.string('nodeName') ?? '',
    ready: !metadata.fields.has('deletionTimestamp') && readReady(status),
    owner: readOwner(metadata.fields),
    ports: containers.flatMap(readPorts),
    images: readImages(containers, status),
    weight: readWeight(annotations),
    netns: hostNetwork || mode === 'none' ? undefined : netns,
    captureProxy: readCaptureProxy(annotations),
    splice: splice.pod,
    portModes: splice.ports,
    probePorts: readProbePorts([...containers, ...spec.mappings('initContainers')]),
    // Last: V8 copies an object it starts with again and again while the others are added (a quarter of a second for 10,000).
    ...meta,
    ...(readSameNodeTunnel(annotations) && { sameNodeTunnel: true }),
    ...readTunnel(meta.labels, annotations),
  };
}

/** As istiod decides: captured by ambient's agent, or the application speaks HBONE itself. */
function readTunnel(labels: PodResource['labels'], annotations: Fields): PodTunnel {
  if (labels.get(TUNNEL_LABEL) === 'http') return { hbone: true, nativeTunnel: true };
  return annotations.raw(REDIRECTION_ANNOTATION) === 'enabled' ? { hbone: true } : {};
}

function readAddresses(status: Fields): readonly Ip[] | undefined {
  const list = status.mappings('podIPs');
  const found: { text: string; key: string }[] = [];
  list.forEach((item, index) => {
    const text = item.required('ip');
    if (text !== undefined) found.push({ text, key: `podIPs[${index}].ip` });
  });
  if (list.length === 0) {
    const text = status.string('podIP');
    if (text !== undefined && text !== '') found.push({ text, key: 'podIP' });
  }
  const addresses = new Set<Ip>();
  for (const { text, key } of found) {
    const ip = parseIp(text);
    if (ip !== undefined) addresses.add(ip);
    else status.invalid(key, `${describe(text)} is no IP address`, 'use an IPv4 or IPv6 address');
  }
  if (addresses.size > 0) return [...addresses];
  if (found.length === 0) {
    status.report({
      code: 'POD_NO_ADDRESS',
      key: 'podIPs',
      message: 'the pod has no address and is left out',
      fix: 'set status.podIPs to [{ip: ADDRESS}]',
    });
  }
  return undefined;
}

/** Without conditions (a file written by hand) a pod counts as ready. */
function readReady(status: Fields): boolean {
  for (const condition of status.mappings('conditions')) {
    if (condition.string('type') === 'Ready') return condition.string('status') === 'True';
  }
  return true;
}

function readOwner(metadata: Fields): PodResource['owner'] {
  for (const owner of metadata.mappings('ownerReferences')) {
    const kind = owner.string('kind');
    const name = owner.string('name');
    if (owner.boolean('controller') && kind !== undefined && name !== undefined) {
      return { kind, name };
    }
  }
  return undefined;
}

function readPorts(container: Fields): ContainerPort[] {
  return container.mappings('ports').flatMap((port) => {
    const number = port.port('containerPort');
    const tcp = (port.string('protocol') ?? 'TCP') === 'TCP';
    return isPort(number) && tcp ? [{ name: port.string('name') ?? '', port: number }] : [];
  });
}

/** What runs in the pod; the digest the runtime reports says more than the tag that was asked for. */
function readImages(containers: readonly Fields[], status: Fields): string[] {
  const running = status
    .mappings('containerStatuses')
    .map((container) => container.string('imageID') ?? '');
  const images = running.some((image) => image !== '')
    ? running
    : containers.map((container) => container.string('image') ?? '');
  return [...new Set(images.filter((image) => image !== ''))].sort();
}
