/**
 * What each of podwire's hooks costs a short connection: the kernel's own run-time statistics of BPF programs while
 * tcp-crr runs.  Taken after the rounds, because the statistics themselves cost some 20 ns per run.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { bpftoolList } from '../support/bpftool.ts';

const STATS = '/proc/sys/kernel/bpf_stats_enabled';

export interface HookCost {
  readonly program: string;
  readonly runsPerConnection: number;
  readonly nsPerRun: number;
  readonly nsPerConnection: number;
}

/** An entry of `bpftool prog show`. */
export interface Program {
  readonly id: number;
  readonly name?: string;
  readonly run_cnt?: number;
  readonly run_time_ns?: number;
}

export function programIds(): ReadonlySet<number> {
  return new Set(listPrograms().map(({ id }) => id));
}

function listPrograms(): readonly Program[] {
  return bpftoolList('prog', 'show');
}

/** `run` resolves with the number of connections it made. */
export async function measureHooks(input: {
  /** the agent's programs */
  readonly own: ReadonlySet<number>;
  readonly run: () => Promise<number>;
}): Promise<readonly HookCost[]> {
  const own = (): Program[] => listPrograms().filter(({ id }) => input.own.has(id));
  const setting = readFileSync(STATS, 'utf8');
  writeFileSync(STATS, '1');
  try {
    const start = own();
    const connections = await input.run();
    return hookCosts(start, own(), connections);
  } finally {
    writeFileSync(STATS, setting);
  }
}

export function hookCosts(
  start: readonly Program[],
  end: readonly Program[],
  connections: number,
): readonly HookCost[] {
  const totals = new Map<string, { runs: number; ns: number }>();
  for (const program of end) {
    const first = start.find(({ id }) => id === program.id);
    const runs = (program.run_cnt ?? 0) - (first?.run_cnt ?? 0);
    const ns = (program.run_time_ns ?? 0) - (first?.run_time_ns ?? 0);
    // An instance per pod counts as one program.
    const total = totals.get(program.name ?? '') ?? { runs: 0, ns: 0 };
    if (runs > 0) totals.set(program.name ?? '', { runs: total.runs + runs, ns: total.ns + ns });
  }
  return [...totals]
    .map(([program, { runs, ns }]) => ({
      program,
      runsPerConnection: runs / connections,
      nsPerRun: ns / runs,
      nsPerConnection: ns / connections,
    }))
    .sort((a, b) => b.nsPerConnection - a.nsPerConnection);
}
