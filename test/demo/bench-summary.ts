/**
 * The bench's result in a few lines that fit a terminal; `npm run bench` has the whole.
 */
import { type Column, renderTable } from '../../src/cli/output.ts';
import type { BenchOutcome } from '../bench/bench.ts';
import { formatNumber, formatRatio } from '../bench/format.ts';
import type { VariantName } from '../bench/options.ts';
import { METRICS, type Metric, findShape } from '../bench/shapes.ts';

interface Row {
  readonly name: string;
  readonly cells: ReadonlyMap<VariantName, string>;
}

export function renderSummary({ result, missing }: BenchOutcome): string {
  const { results, ratios, machine } = result;
  const variants = [...new Set(results.map(({ variant }) => variant))];
  const rows = [...new Set(results.map(({ shape }) => shape))].flatMap((shape): Row[] => {
    const own = results.filter((one) => one.shape === shape);
    const metric: Metric = findShape(shape)?.headline ?? 'p50Us';
    const against = ratios.filter(
      (one) => one.shape === shape && one.variant === 'podwire' && one.metric === metric,
    );
    return [
      {
        name: `${shape}, ${METRICS[metric].label}`,
        cells: new Map(own.map((one) => [one.variant, figure(one[metric])])),
      },
      {
        name: '  podwire is',
        cells: new Map(against.map((one) => [one.against, formatRatio(one)])),
      },
      {
        name: '  mesh CPU s per 100k',
        cells: new Map(own.map((one) => [one.variant, figure(one.meshCpuSecondsPer100k)])),
      },
    ];
  });
  const columns = variants.map((variant): Column<Row> => ({
    head: variant.toUpperCase(),
    cell: ({ cells }) => cells.get(variant) ?? '',
    align: 'right',
  }));
  const table = renderTable<Row>([{ head: '', cell: ({ name }) => name }, ...columns], rows, '');
  const notes = [...missing].map(([variant, why]) => `${variant}: ${why}`);
  const title = `${machine.cpus} CPUs, kernel ${machine.kernel}; medians of ${result.rounds} rounds, all on one CPU`;
  return [title, table, ...notes].join('\n');
}

function figure(value: number | null): string {
  return value === null ? '-' : formatNumber(value);
}
