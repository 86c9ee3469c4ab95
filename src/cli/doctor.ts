/**
 * `podwire doctor`: tries on this very kernel what the agent would use, and says feature by feature what it decides.
 */
import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import type { DoctorView } from '../admin/view.ts';
import { findCgroup2 } from '../config/cgroup2.ts';
import { DEFAULT_BPFFS } from '../config/defaults.ts';
import { packageInfo } from '../config/package.ts';
import { outputOption, render, renderTable, type Column, type OutputFormat } from './output.ts';

interface DoctorOptions {
  readonly cgroup?: string;
  readonly bpffs: string;
  readonly output: OutputFormat;
}

const EXIT_MISSING = 3;

const COLUMNS: readonly Column<DoctorView>[] = [
  { head: 'FEATURE', cell: (row) => row.feature },
  { head: 'DECISION', cell: (row) => row.decision },
  { head: 'REASON', cell: (row) => row.reason },
  { head: 'EVIDENCE', cell: (row) => row.evidence },
];

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'Try the kernel features podwire needs and say which it will use.\n' +
        `Exit code ${EXIT_MISSING} when one is missing that it cannot do without.`,
    )
    .option('--cgroup <path>', 'cgroup v2 folder (default: the root found in /proc/mounts)')
    .option('--bpffs <path>', 'BPF file system', DEFAULT_BPFFS)
    .addOption(outputOption())
    .action(async (options: DoctorOptions) => {
      const [{ runDoctor }, { loadBinding }] = await Promise.all([
        import('../kernel/doctor.ts'),
        import('../kernel/binding.ts'),
      ]);
      const rows: readonly DoctorView[] = await runDoctor(loadBinding(), {
        objects: packageInfo().objects,
        bpffs: options.bpffs,
        cgroup: options.cgroup ?? mountedCgroup(),
      });
      console.log(render(options.output, rows, () => renderTable(COLUMNS, rows, 'no features')));
      if (rows.some(({ decision }) => decision === 'missing')) process.exitCode = EXIT_MISSING;
    });
}

/** Where it is looked for when none is mounted: the table then says that it is missing. */
function mountedCgroup(): string {
  return findCgroup2(readFileSync('/proc/mounts', 'utf8')) ?? '/sys/fs/cgroup';
}
