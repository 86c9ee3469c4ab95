/**
 * The errors an operator can meet: one class, one table of stable codes.  A code never changes its meaning; the README
 * lists the same set, and scripts may rely on the exit codes.
 *
 * Exit codes: 1 failure at run time, 2 bad usage or bad input, 3 missing privilege or kernel feature, 4 another agent
 * holds the lock or no agent answers.
 */

export type ExitCode = 1 | 2 | 3 | 4;

export interface ErrorMeaning {
  readonly exitCode: ExitCode;
  /** one sentence */
  readonly meaning: string;
}

export const ERROR_CODES = {
  ERR_ABI_MISMATCH: {
    exitCode: 1,
    meaning: 'A BPF object was built from another bpf/abi.h than this program.',
  },
  ERR_BAD_OPTION: {
    exitCode: 2,
    meaning: 'A command-line option or argument has a value that cannot be used.',
  },
  ERR_CONFIG: {
    exitCode: 2,
    meaning: 'The configuration cannot be read or holds a value that cannot be used.',
  },
  ERR_NOT_ROOT: {
    exitCode: 3,
    meaning: 'The process lacks a privilege (root, or a capability) that the step needs.',
  },
  ERR_NO_BTF: {
    exitCode: 3,
    meaning: 'The kernel offers no type information at /sys/kernel/btf/vmlinux.',
  },
  ERR_NO_CGROUP2: {
    exitCode: 3,
    meaning: 'No cgroup v2 hierarchy is mounted, or the given path is not in one.',
  },
  ERR_NO_BPFFS: {
    exitCode: 3,
    meaning: 'The folder for pinned BPF objects is not on a BPF file system.',
  },
  ERR_BPF_REJECTED: {
    exitCode: 3,
    meaning: 'The kernel refused to load or attach a BPF program.',
  },
  ERR_KERNEL_FEATURE: {
    exitCode: 3,
    meaning: 'The kernel lacks a feature that podwire cannot do without.',
  },
  ERR_LOCKED: {
    exitCode: 4,
    meaning: 'Another agent holds the lock of this node.',
  },
  ERR_NO_AGENT: {
    exitCode: 4,
    meaning: 'No agent answers on the admin socket.',
  },
  ERR_NETNS: {
    exitCode: 1,
    meaning: 'A network namespace does not exist or cannot be entered.',
  },
  ERR_MAP_FULL: {
    exitCode: 1,
    meaning: 'A BPF map has no room for another entry.',
  },
  ERR_ADDON_MISSING: {
    exitCode: 1,
    meaning: 'The native addon or a BPF object has not been built.',
  },
  ERR_INTERNAL: {
    exitCode: 1,
    meaning: 'A bug in podwire.',
  },
} as const satisfies { readonly [code: string]: ErrorMeaning };

export type ErrorCode = keyof typeof ERROR_CODES;

export interface PodwireErrorOptions {
  readonly cause?: unknown;
  /** what the operator can do about it */
  readonly hint?: string;
}

export class PodwireError extends Error {
  override readonly name = 'PodwireError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: PodwireErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): ExitCode {
    return ERROR_CODES[this.code].exitCode;
  }
}

/** What a process that dies of this error exits with. */
export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof PodwireError ? error.exitCode : 1;
}

const MAX_CAUSES = 8;

/** For a terminal: message and code, each cause on a line of its own, then the hint nearest to the top. */
export function describeError(error: unknown): string {
  const lines: string[] = [];
  let hint: string | undefined;
  let current: unknown = error;
  for (let depth = 0; current !== undefined && depth < MAX_CAUSES; depth++) {
    const text = current instanceof Error ? current.message : String(current);
    const code = current instanceof PodwireError ? ` [${current.code}]` : '';
    lines.push(depth === 0 ? `${text}${code}` : `  because: ${text}${code}`);
    if (current instanceof PodwireError) hint ??= current.hint;
    current = current instanceof Error ? current.cause : undefined;
  }
  if (hint !== undefined) lines.push(`  try: ${hint}`);
  return lines.join('\n');
}
