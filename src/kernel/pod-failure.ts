/**
 * A pod that could not be captured, told as a finding: the file, the resource and the field that name its namespace.  Unlike
 * the findings of validation it speaks of this node at this moment; it goes when the pod is captured.
 */
import type { PodEntry } from '../compile/kernel/pods.ts';
import type { Finding, FindingCode } from '../model/finding.ts';
import type { NativeError } from './binding.ts';

/** what open(2) and setns(2) say of a file that is no namespace, or not ours to enter */
const NOT_A_NETNS = new Set(['EACCES', 'EINVAL', 'ELOOP', 'ENOTDIR', 'EPERM']);

export interface PodFailure {
  readonly entry: PodEntry;
  readonly finding: Finding;
  readonly since: Date;
}

/** The namespace is there, but not for this pod. */
export class NetnsRefusal extends Error {
  readonly finding: FindingCode;
  readonly fix = 'name the network namespace of this very pod';

  constructor(finding: FindingCode, message: string) {
    super(message);
    this.finding = finding;
  }
}

export function hostNetns(entry: PodEntry): NetnsRefusal {
  const message = `${entry.netnsPath} is the node's own network namespace`;
  return new NetnsRefusal('NETNS_INVALID', message);
}

export function takenNetns(entry: PodEntry, owner: PodEntry): NetnsRefusal {
  const message = `${entry.netnsPath} belongs to pod ${owner.namespace}/${owner.name} already`;
  return new NetnsRefusal('NETNS_CONFLICT', message);
}

export function captureFinding(entry: PodEntry, error: Error): Finding {
  const { origin, netns, netnsPath } = entry;
  const at = { severity: 'error', ...origin } as const;
  const { message } = error;
  if (error instanceof NetnsRefusal) return { ...at, code: error.finding, message, fix: error.fix };
  const { code = '', syscall = '' } = error as Partial<NativeError>;
  if (syscall === 'open' && code === 'ENOENT') {
    return {
      ...at,
      code: 'NETNS_MISSING',
      message: `network namespace ${netnsPath} does not exist`,
      fix: `make it (ip netns add ${netns}), or correct the annotation; it is looked for every second`,
    };
  }
  if (['open', 'setns'].includes(syscall) && NOT_A_NETNS.has(code)) {
    const fix = 'name a network namespace of this node that the agent can enter';
    return { ...at, code: 'NETNS_INVALID', message, fix };
  }
  const fix = 'see podwire doctor and podwire counters; it is tried again every second';
  return { ...at, path: '', code: 'POD_NOT_CAPTURED', message, fix };
}
