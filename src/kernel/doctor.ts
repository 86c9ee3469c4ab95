/**
 * `podwire doctor`: tries on this very kernel each thing podwire would like to use, and says what will be used, what not, and
 * why. The agent makes the same tries at start and obeys them.
 */
import { join } from 'node:path';
import { existsSync, readFileSync } from 'node:fs';
import { PodwireError } from '../errors.ts';
import { Counter, Reason } from './abi/layout.gen.ts';
import type { Binding, NativeError } from './binding.ts';
import { requireBpffs, requireBtf, requireCgroup2, requireRoot } from './requirements.ts';
import { SelfTest } from './self-test.ts';

export type Decision = 'used' | 'not used' | 'missing';

export interface DoctorRow {
  readonly feature: string;
  /** missing: podwire cannot run without it */
  readonly decision: Decision;
  readonly reason: string;
  readonly evidence: string;
}

export interface DoctorOptions {
  readonly objects: string;
  readonly cgroup: string;
  readonly bpffs: string;
}

type Try = () => string | Promise<string>;

export async function runDoctor(binding: Binding, options: DoctorOptions): Promise<DoctorRow[]> {
  const rows: DoctorRow[] = [];
  const attempt = async (
    feature: string,
    what: string,
    without: { decision: Decision; reason: string },
    run: Try,
  ) => {
    try {
      rows.push({ feature, decision: 'used', reason: what, evidence: await run() });
    } catch (error) {
      rows.push({ feature, ...without, evidence: evidenceOf(error) });
    }
  };
  const needed = (fix: string) => ({ decision: 'missing', reason: fix }) as const;
  const optional = (reason: string) => ({ decision: 'not used', reason }) as const;

  await attempt('root', 'may load BPF and enter namespaces', needed('run as root'), () => {
    requireRoot();
    return `uid ${process.geteuid?.()}`;
  });
  await attempt(
    'btf',
    'programs adapt to this kernel (CO-RE)',
    needed('a kernel with CONFIG_DEBUG_INFO_BTF=y'),
    () => {
      requireBtf();
      return '/sys/kernel/btf/vmlinux';
    },
  );
  await attempt(
    'cgroup2',
    'programs are attached to its root',
    needed('mount a cgroup v2 hierarchy'),
    () => {
      requireCgroup2(options.cgroup);
      return options.cgroup;
    },
  );
  await attempt('bpffs', 'pins outlive the agent', needed('mount -t bpf bpf /sys/fs/bpf'), () => {
    requireBpffs(binding, options.bpffs);
    return options.bpffs;
  });
  await attempt(
    'data path',
    'connect, getpeername, setsockopt, sockops, sk_msg',
    needed('the verifier refuses mesh.bpf.o'),
    () => tryLoad(binding, join(options.objects, 'mesh.bpf.o')),
  );
  await attempt('sk_lookup', 'inbound policy and capture', needed('Linux 5.9 or newer'), () =>
    tryLoad(binding, join(options.objects, 'lookup.bpf.o')),
  );
  const test = await new SelfTest({
    binding,
    objectPath: join(options.objects, 'selftest.bpf.o'),
  }).run();
  rows.push(
    test.ok
      ? {
          feature: 'splice',
          decision: 'used',
          reason: 'the one-queue protocol is right on this kernel',
          evidence: test.evidence,
        }
      : {
          feature: 'splice',
          decision: 'not used',
          reason: 'connections stay on TCP; everything else works',
          evidence: test.reason,
        },
  );
  await attempt(
    'waiter check',
    'a thread asleep in recv() keeps its socket plain',
    optional('sockets with waiters stay plain'),
    () => {
      if (process.arch !== 'x64' && process.arch !== 'arm64')
        throw new Error(`not written for ${process.arch}`);
      return `pt_regs of ${process.arch}`;
    },
  );
  await attempt(
    'observer',
    'learns which executables may be spliced',
    optional('only pods annotated podwire.io/splice: always are spliced'),
    () => {
      const object = binding.openObject(join(options.objects, 'observe.bpf.o'));
      try {
        object.load();
        object.program('observe_calls').attachTracing().close();
        return 'raw_tp/sys_enter attached and detached';
      } finally {
        object.close();
      }
    },
  );
  await attempt(
    'stall detector',
    'resets connections whose reader cannot see spliced bytes',
    needed('revocation and self-healing need it'),
    () => tryLoad(binding, join(options.objects, 'detect.bpf.o')),
  );
  await attempt(
    'keepalive',
    'idle TCP under a busy splice outlives conntrack',
    optional('no conntrack here'),
    () => {
      const file = '/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established';
      if (!existsSync(file)) throw new Error(`${file} does not exist`);
      return `conntrack forgets after ${readFileSync(file, 'utf8').trim()} s`;
    },
  );
  return rows;
}

function tryLoad(binding: Binding, path: string): string {
  const object = binding.openObject(path);
  try {
    if (object.mapNames().includes('counters')) {
      object.setMaxEntries('counters', binding.possibleCpus() * Counter.MAX);
      object.setMaxEntries('reasons', binding.possibleCpus() * Reason.MAX);
    }
    object.load();
    return `${object.programNames().length} programs accepted`;
  } finally {
    object.close();
  }
}

function evidenceOf(error: unknown): string {
  if (error instanceof PodwireError) return error.message;
  const { message, log } = error as Partial<NativeError>;
  const last = log?.trim().split('\n').at(-1) ?? '';
  return last ? `${message}: ${last}` : String(message);
}
