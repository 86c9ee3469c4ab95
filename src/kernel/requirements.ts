/** What podwire cannot do without, tried at start: each refusal says what is missing and what to do. */
import { existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { PodwireError } from '../errors.ts';
import type { Binding } from './binding.ts';

/** include/uapi/linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;
const CGROUP2_SUPER_MAGIC = 0x63677270;
const BTF = '/sys/kernel/btf/vmlinux';

export function requireRoot(): void {
  if (process.geteuid?.() !== 0) {
    throw new PodwireError('ERR_NOT_ROOT', 'the agent must run as root', {
      hint: 'sudo, or in Kubernetes the capabilities of the DaemonSet in daemonset/',
    });
  }
}

export function requireBtf(): void {
  if (!existsSync(BTF)) {
    throw new PodwireError('ERR_NO_BTF', `this kernel has no type information at ${BTF}`, {
      hint: 'boot a kernel built with CONFIG_DEBUG_INFO_BTF=y',
    });
  }
}

export function requireCgroup2(path: string): void {
  const type = fsType(path);
  if (type !== CGROUP2_SUPER_MAGIC) {
    throw new PodwireError('ERR_NO_CGROUP2', `${path} is not a folder of a cgroup v2 hierarchy`, {
      hint: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified, or name its root with --cgroup',
    });
  }
}

/**
 * The agent's own sockets inside pods must meet the programs too, or the proxy's second leg would be captured again: its process
 * has to live below the cgroup it attaches to.
 */
export function requireOwnCgroup(path: string): void {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const mount = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .find(
      (fields) =>
        fields.includes('cgroup2') && fields[3] === '/' && (path + '/').startsWith(`${fields[4]}/`),
    )?.[4];
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (mount === undefined || own === undefined)
    return; /* a cgroup namespace: paths cannot be compared */
  if (!`${join(mount, own)}/`.startsWith(`${path}/`)) {
    throw new PodwireError(
      'ERR_BAD_OPTION',
      `--cgroup ${path} does not hold the agent itself (it runs in ${join(mount, own)})`,
      {
        hint: `name the root of the hierarchy, ${mount}, or start the agent inside: echo $$ > ${path}/cgroup.procs`,
      },
    );
  }
}

/** Mounts a bpffs where there is none. */
export function requireBpffs(binding: Binding, path: string): void {
  if (fsType(path) === BPF_FS_MAGIC) return;
  try {
    mkdirSync(path, { recursive: true });
    binding.mountFs('bpf', path);
  } catch (cause) {
    throw new PodwireError(
      'ERR_NO_BPFFS',
      `${path} is no bpffs and none can be mounted there: ${(cause as Error).message}`,
      {
        cause,
        hint: `mount -t bpf bpf ${path}, or name another with --bpffs`,
      },
    );
  }
}

function fsType(path: string): number {
  try {
    return statfsSync(path).type;
  } catch {
    return 0;
  }
}
