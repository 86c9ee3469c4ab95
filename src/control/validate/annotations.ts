/**
 * podwire's own annotations.  A value that cannot be read is an error and the field keeps its safest meaning: a pod whose
 * splice annotation is wrong is not spliced, one whose netns is wrong is not enrolled.
 */
import type { SpliceMode } from '../../model/enrolment.ts';
import { DEFAULT_LB_POLICY, LB_POLICIES, type LbPolicy } from '../../model/service.ts';
import { describe, isPort, type Fields } from './fields.ts';

export const NETNS_ANNOTATION = 'podwire.io/netns';
export const CAPTURE_ANNOTATION = 'podwire.io/capture';
export const SPLICE_ANNOTATION = 'podwire.io/splice';
export const SAME_NODE_ANNOTATION = 'podwire.io/same-node';
export const WEIGHT_ANNOTATION = 'podwire.io/weight';
export const LB_ANNOTATION = 'podwire.io/lb';
export const MAX_CONNECTIONS_ANNOTATION = 'podwire.io/max-connections';
/** Istio's, for clusters whose Services have no trafficDistribution */
export const DISTRIBUTION_ANNOTATION = 'networking.istio.io/traffic-distribution';

/** Istio's, set when a pod's traffic is captured: other nodes then reach it over HBONE */
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection';

const PREFIX = 'podwire.io/';
const MAX_WEIGHT = 65535;
const MAX_CONNECTIONS = 0x7fffffff;
const SPLICE_MODES: readonly SpliceMode[] = ['always', 'never', 'observe'];

export interface SpliceSetting {
  readonly pod: SpliceMode;
  readonly ports: ReadonlyMap<number, SpliceMode>;
}

/** Warns about podwire.io/ annotations that this kind of resource does not know: most are spelling mistakes. */
export function warnUnknownAnnotations(annotations: Fields, known: readonly string[]): void {
  for (const key of annotations.keys()) {
    if (!key.startsWith(PREFIX) || known.includes(key)) continue;
    annotations.report({
      code: 'ANNOTATION_UNKNOWN',
      severity: 'warning',
      key: `'${key}'`,
      message: 'is no annotation podwire knows here and has no effect',
      fix: `use one of: ${known.join(', ')}`,
    });
  }
}

/** The name of a network namespace in /run/netns; undefined when absent or refused. */
export function readNetns(annotations: Fields): string | undefined {
  const name = annotations.raw(NETNS_ANNOTATION);
  if (name === undefined) return undefined;
  if (typeof name === 'string' && isNetnsName(name)) return name;
  annotations.report({
    code: 'NETNS_INVALID',
    key: `'${NETNS_ANNOTATION}'`,
    message: `${describe(name)} is no name of a network namespace; the pod is not enrolled`,
    fix: 'use the name `ip netns list` shows: letters, digits, ".", "_" and "-" only',
  });
  return undefined;
}

/** A value that cannot be read is the stricter one. */
export function readSameNodeTunnel(annotations: Fields): boolean {
  const value = annotations.raw(SAME_NODE_ANNOTATION);
  if (value === undefined || value === 'kernel') return false;
  if (value === 'hbone') return true;
  const consequence = 'pods of the same node use HBONE too';
  invalidAnnotation(
    annotations,
    SAME_NODE_ANNOTATION,
    value,
    consequence,
    'use "kernel" or "hbone"',
  );
  return true;
}

export function readCaptureProxy(annotations: Fields): boolean {
  const value = annotations.raw(CAPTURE_ANNOTATION);
  if (value === undefined || value === 'kernel') return false;
  if (value === 'proxy') return true;
  invalidAnnotation(
    annotations,
    CAPTURE_ANNOTATION,
    value,
    'kernel is used',
    'use "proxy" or "kernel"',
  );
  return false;
}

export function readSplice(annotations: Fields): SpliceSetting {
  const value = annotations.raw(SPLICE_ANNOTATION);
  if (value === undefined) return { pod: 'default', ports: new Map() };
  const setting = typeof value === 'string' ? parseSplice(value) : undefined;
  if (setting !== undefined) return setting;
  invalidAnnotation(
    annotations,
    SPLICE_ANNOTATION,
    value,
    'the pod is not spliced until this is mended',
    'use always, never or observe, and PORT=MODE for single ports: "never,8080=always"',
  );
  return { pod: 'never', ports: new Map() };
}

export function readWeight(annotations: Fields): number {
  const value = annotations.raw(WEIGHT_ANNOTATION);
  if (value === undefined) return 1;
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text === 'string' && /^[0-9]{1,5}$/.test(text) && Number(text) <= MAX_WEIGHT) {
    return Number(text);
  }
  invalidAnnotation(
    annotations,
    WEIGHT_ANNOTATION,
    value,
    '1 is used',
    `use a number from 0 to ${MAX_WEIGHT}`,
  );
  return 1;
}

export function readLbPolicy(annotations: Fields): LbPolicy {
  const value = annotations.raw(LB_ANNOTATION);
  if (value === undefined) return DEFAULT_LB_POLICY;
  const policy = LB_POLICIES.find((name) => name === value);
  if (policy !== undefined) return policy;
  const fix = `use one of: ${LB_POLICIES.join(', ')}`;
  invalidAnnotation(annotations, LB_ANNOTATION, value, `${DEFAULT_LB_POLICY} is used`, fix);
  return DEFAULT_LB_POLICY;
}

/** 0: no limit, also when the value cannot be read */
export function readMaxConnections(annotations: Fields): number {
  const value = annotations.raw(MAX_CONNECTIONS_ANNOTATION);
  if (value === undefined) return 0;
  const text = typeof value === 'number' ? String(value) : value;
  if (
    typeof text === 'string' &&
    /^[1-9][0-9]{0,9}$/.test(text) &&
    Number(text) <= MAX_CONNECTIONS
  ) {
    return Number(text);
  }
  const fix = `use a number from 1 to ${MAX_CONNECTIONS}`;
  invalidAnnotation(annotations, MAX_CONNECTIONS_ANNOTATION, value, 'there is no limit', fix);
  return 0;
}

/** "." and ".." would leave /run/netns. */
function isNetnsName(name: string): boolean {
  return /^[A-Za-z0-9._-]{1,255}$/.test(name) && name !== '.' && name !== '..';
}

function parseSplice(text: string): SpliceSetting | undefined {
  let pod: SpliceMode = 'default';
  const ports = new Map<number, SpliceMode>();
  for (const item of text.split(',').map((part) => part.trim())) {
    const [left = '', right, ...rest] = item.split('=').map((part) => part.trim());
    const mode = SPLICE_MODES.find((name) => name === (right ?? left));
    if (mode === undefined || rest.length > 0) return undefined;
    if (right === undefined) {
      if (pod !== 'default') return undefined;
      pod = mode;
    } else {
      const port = /^[0-9]{1,5}$/.test(left) ? Number(left) : 0;
      if (!isPort(port) || ports.has(port)) return undefined;
      ports.set(port, mode);
    }
  }
  return { pod, ports };
}

export function invalidAnnotation(
  annotations: Fields,
  name: string,
  value: unknown,
  consequence: string,
  fix: string,
): void {
  annotations.report({
    code: 'ANNOTATION_INVALID',
    key: `'${name}'`,
    message: `${describe(value)} cannot be read; ${consequence}`,
    fix,
  });
}
