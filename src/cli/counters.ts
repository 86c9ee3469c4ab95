/**
 * `podwire counters`: the counters of the BPF programs, added up over all CPUs.
 */
import { Command } from 'commander';
import type { CountersView } from '../admin/view.ts';
import { adminOption, getAdmin } from './client.ts';
import type { ListOptions } from './list-command.ts';
import { outputOption, render, renderTable, type Column } from './output.ts';

interface CountersOptions extends ListOptions {
  readonly nonzero?: boolean;
}

type Row = readonly [string, number];

const COLUMNS: readonly Column<Row>[] = [
  { head: 'COUNTER', cell: ([name]) => name },
  { head: 'VALUE', cell: ([, value]) => value, align: 'right' },
];

export function countersCommand(): Command {
  return new Command('counters')
    .description('Show the counters of the data path.')
    .option('--nonzero', 'only counters that have counted something')
    .addOption(adminOption())
    .addOption(outputOption())
    .action(async ({ admin, output, nonzero }: CountersOptions) => {
      const counters = await getAdmin<CountersView>(admin, '/v1/counters');
      const rows = Object.entries(counters).filter(([, value]) => !nonzero || value !== 0);
      console.log(
        render(output, Object.fromEntries(rows), () =>
          renderTable(COLUMNS, rows, 'nothing has been counted yet'),
        ),
      );
    });
}
