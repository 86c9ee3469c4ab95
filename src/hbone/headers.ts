/**
 * The fields of a CONNECT request and its answer, as ztunnel writes and reads them. They serve telemetry only: who somebody is
 * and where he comes from is known from the certificate and the connection.
 */
import { randomBytes } from 'node:crypto';
import { hostPort } from '../model/host-port.ts';
import type { Endpoint } from '../proxy/transport.ts';

/** What a workload says of itself. Empty and missing values are left out. */
export interface Baggage {
  readonly cluster?: string;
  readonly namespace?: string;
  readonly workloadType?: 'deployment' | 'pod' | 'cronjob' | 'job';
  readonly workloadName?: string;
  readonly serviceName?: string;
  readonly serviceVersion?: string;
  readonly region?: string;
  readonly zone?: string;
}

const TYPES = ['deployment', 'pod', 'cronjob', 'job'] as const;
const MAX_LENGTH = 4096;
const MAX_MEMBERS = 32;
/** RFC 9110's token, and W3C Baggage's value */
const KEY = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

export function formatBaggage(baggage: Baggage): string {
  const { workloadType } = baggage;
  const members: [string, string | undefined][] = [
    ['k8s.cluster.name', baggage.cluster],
    ['k8s.namespace.name', baggage.namespace],
    ...(workloadType
      ? [[`k8s.${workloadType}.name`, baggage.workloadName] as [string, string | undefined]]
      : []),
    ['service.name', baggage.serviceName],
    ['service.version', baggage.serviceVersion],
    ['cloud.region', baggage.region],
    ['cloud.availability_zone', baggage.zone],
  ];
  return members
    .filter(([, value]) => value && VALUE.test(value))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** Unknown members are ignored; undefined: longer or other than a peer's would be. */
export function parseBaggage(text: string): Baggage | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const members = text.split(',');
  if (members.length > MAX_MEMBERS) return undefined;
  const found = new Map<string, string>();
  for (const member of members) {
    const [pair = ''] = member.split(';', 1);
    const at = pair.indexOf('=');
    const key = pair.slice(0, Math.max(0, at)).trim();
    const value = pair.slice(at + 1).trim();
    if (at > 0 && KEY.test(key) && VALUE.test(value)) found.set(key, value);
  }
  const type = TYPES.find((name) => found.has(`k8s.${name}.name`));
  const values: Record<keyof Baggage, string | undefined> = {
    cluster: found.get('k8s.cluster.name'),
    namespace: found.get('k8s.namespace.name'),
    workloadType: type,
    workloadName: type && found.get(`k8s.${type}.name`),
    serviceName: found.get('service.name'),
    serviceVersion: found.get('service.version'),
    region: found.get('cloud.region'),
    zone: found.get('cloud.availability_zone'),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value)) as Baggage;
}

/** RFC 7239, for="ADDRESS:PORT" with the application's own address, and the Service it dialled. */
export function formatForwarded(client: Endpoint, host?: string): string {
  const by = `for="${hostPort(client.address, client.port)}"`;
  return host && HOST.test(host) ? `${by};host=${host}` : by;
}

const HOST = /^[0-9A-Za-z._-]{1,253}$/;

/** The host of a `forwarded` field; undefined: there is none that could be one. */
export function forwardedHost(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [first = ''] = text.split(',', 1);
  for (const pair of first.split(';')) {
    const match = /^\s*host=("?)([^"]*)\1\s*$/i.exec(pair);
    if (match?.[2] && HOST.test(match[2])) return match[2];
  }
  return undefined;
}

const TRACE_BYTES = 24;
/** a call of the generator costs more than what it gives for one */
const TRACES_AT_ONCE = 256;
let random = Buffer.alloc(0);

/** A new trace that is not sampled (W3C Trace Context). */
export function newTraceparent(): string {
  if (random.length === 0) random = randomBytes(TRACE_BYTES * TRACES_AT_ONCE);
  const trace = random.toString('hex', 0, TRACE_BYTES);
  random = random.subarray(TRACE_BYTES);
  return `00-${trace.slice(0, 32)}-${trace.slice(32)}-00`;
}

const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

export function parseTraceparent(text: string): string | undefined {
  return TRACEPARENT.test(text) ? text : undefined;
}
