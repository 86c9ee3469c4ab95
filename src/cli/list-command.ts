/**
 * The shape that most verbs share: ask the agent for one list, leave out what was not asked for, print it.
 */
import { Command } from 'commander';
import { adminOption, getAdmin } from './client.ts';
import { outputOption, render, renderTable, type Column, type OutputFormat } from './output.ts';

export interface ListOptions {
  readonly admin: string;
  readonly output: OutputFormat;
}

export interface ListCommand<T, O extends ListOptions> {
  readonly name: string;
  readonly description: string;
  /** below /v1 */
  readonly path: string;
  readonly columns: readonly Column<T>[];
  readonly empty: string;
  /** adds options of its own */
  readonly configure?: (command: Command) => Command;
  /** which of the rows to show, and in what order */
  readonly select?: (rows: readonly T[], options: O) => readonly T[];
}

export function listCommand<T, O extends ListOptions = ListOptions>(
  spec: ListCommand<T, O>,
): Command {
  const command = new Command(spec.name)
    .description(spec.description)
    .addOption(adminOption())
    .addOption(outputOption())
    .action(async (options: O) => {
      const all = await getAdmin<readonly T[]>(options.admin, `/v1/${spec.path}`);
      const rows = spec.select?.(all, options) ?? all;
      console.log(render(options.output, rows, () => renderTable(spec.columns, rows, spec.empty)));
    });
  return spec.configure?.(command) ?? command;
}
