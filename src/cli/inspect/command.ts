/**
 * The shape that verbs about resources share: from the agent or from control, or the difference between the two.
 */
import { Command } from 'commander';
import type { ResourceKind, ResourceView } from '../../admin/resource-view.ts';
import { adminOption } from '../client.ts';
import { outputOption, render, renderTable, type Column } from '../output.ts';
import { diffResources, type ResourceDifference } from './diff.ts';
import { addSourceOptions, fetchResources, type SourceOptions } from './resources.ts';

export interface InspectVerb<T, Row> {
  readonly name: string;
  readonly description: string;
  readonly kind: ResourceKind;
  /** the resources the verb is about, of those of its kind */
  readonly wanted?: (resource: T) => boolean;
  readonly columns: readonly Column<Row>[];
  readonly rows: (resources: readonly ResourceView<T>[]) => readonly Row[];
  readonly empty: string;
}

interface Line {
  readonly name: string;
  readonly field: string;
  readonly agent: string;
  readonly control: string;
}

const DIFF_COLUMNS: readonly Column<Line>[] = [
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'FIELD', cell: ({ field }) => field },
  { head: 'AGENT', cell: ({ agent }) => agent },
  { head: 'CONTROL', cell: ({ control }) => control },
];

const MAX_CELL = 60;

export function inspectCommand<T, Row>(verb: InspectVerb<T, Row>): Command {
  const command = new Command(verb.name)
    .description(verb.description)
    .addOption(adminOption())
    .addOption(outputOption());
  return addSourceOptions(command).action((options: SourceOptions) => inspect(verb, options));
}

export async function inspect<T, Row>(
  verb: InspectVerb<T, Row>,
  options: SourceOptions,
): Promise<void> {
  const read = async (from: SourceOptions['from']): Promise<readonly ResourceView<T>[]> => {
    const all = (await fetchResources(from, options, verb.kind)) as readonly ResourceView<T>[];
    const wanted = all.filter(({ resource }) => verb.wanted?.(resource) ?? true);
    return wanted.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  };
  if (options.diff === true) {
    const difference = diffResources(await read('agent'), await read('control'));
    console.log(render(options.output, difference, () => diffTable(difference)));
    return;
  }
  const resources = await read(options.from);
  const table = (): string => renderTable(verb.columns, verb.rows(resources), verb.empty);
  console.log(render(options.output, resources, table));
}

function diffTable(differences: readonly ResourceDifference[]): string {
  const lines = differences.flatMap(({ name, state, fields }): Line[] => {
    if (state === 'only-agent') return [{ name, field: '', agent: 'held', control: 'not sent' }];
    if (state === 'only-control') return [{ name, field: '', agent: 'not held', control: 'sent' }];
    return fields.map((field) => ({
      name,
      field: field.path,
      agent: short(field.agent),
      control: short(field.control),
    }));
  });
  return renderTable(DIFF_COLUMNS, lines, 'the agent holds what control would send');
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 1)}…` : text;
}
