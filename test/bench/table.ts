/**
 * The result for a terminal: what each shape is about, what it costs, and podwire against every other variant.
 */
import Table from 'cli-table3';
import type { BenchOutcome } from './bench.ts';
import { formatNumber, formatRatio, formatSpread } from './format.ts';
import type { HookCost } from './hooks.ts';
import { VARIANT_NAMES, type VariantName } from './options.ts';
import { findRatio, totalCpuPer100k, type IdleResult, type ShapeResult } from './result.ts';
import { METRICS, findShape } from './shapes.ts';

const PLAIN_STYLE = { head: [], border: [] };
const NOTHING = '-';

export function renderTables(outcome: BenchOutcome): string {
  const { results } = outcome.result;
  const measured = VARIANT_NAMES.filter((name) => results.some(({ variant }) => variant === name));
  const sections = [
    heading(outcome),
    section('Median, [middle half of the rounds], ratio to plain', speedTable(outcome, measured)),
    section('p99, and CPU seconds per 100k operations', costTable(outcome, measured)),
  ];
  if (measured.includes('podwire') && measured.length > 1) {
    sections.push(section('podwire against', againstTable(outcome, measured)));
  }
  if (outcome.result.idle && outcome.result.idle.length > 0) {
    sections.push(section('Idle connections', idleTable(outcome.result.idle)));
  }
  if (outcome.hooks.length > 0) {
    sections.push(section('Hooks of podwire during tcp-crr', hookTable(outcome.hooks)));
  }
  return `${[...sections, ...notes(outcome)].join('\n\n')}\n`;
}

function heading({ result }: BenchOutcome): string {
  const { machine, rounds } = result;
  const [first] = result.results;
  const rules = first && first.iptablesRules > 0 ? `, ${first.iptablesRules} iptables rules` : '';
  return `${machine.cpuModel}, ${machine.cpus} CPUs, kernel ${machine.kernel}; ${rounds} alternated rounds${rules}`;
}

function section(title: string, table: Table.Table): string {
  return `${title}\n${table.toString()}`;
}

function speedTable({ result }: BenchOutcome, variants: readonly VariantName[]): Table.Table {
  const table = new Table({ head: ['shape', '', ...variants], style: PLAIN_STYLE });
  for (const [name, row] of byShape(result.results)) {
    const headline = findShape(name)?.headline ?? 'p50Us';
    const cells = variants.map((variant) => {
      const one = row.get(variant);
      const value = one?.[headline];
      if (one === undefined || value === undefined || value === null) return NOTHING;
      const ratio = findRatio(result.ratios, name, variant, 'plain', headline);
      const lines = [`${formatNumber(value)} ${formatSpread(one.spread)}`];
      if (ratio !== undefined) lines.push(formatRatio(ratio));
      return lines.join('\n');
    });
    table.push([name, METRICS[headline].label, ...cells]);
  }
  return table;
}

function costTable(outcome: BenchOutcome, variants: readonly VariantName[]): Table.Table {
  const table = new Table({ head: ['shape', '', ...variants], style: PLAIN_STYLE });
  const { results } = outcome.result;
  for (const [name, row] of byShape(results)) {
    const latency = [...row.values()].some(({ p99Us }) => p99Us !== null);
    const bytes = [...row.values()].some((one) => one.meshCpuSecondsPerGb !== null);
    const labels = [
      ...(latency ? ['p99 µs'] : []),
      ...['CPU s, all', 'CPU s, mesh'],
      ...(bytes ? ['mesh, per GB'] : []),
    ];
    const cells = variants.map((variant) => {
      const one = row.get(variant);
      const series = outcome.series.find((s) => s.shape.name === name && s.variant === variant);
      if (one === undefined || series === undefined) return NOTHING;
      const lines = [totalCpuPer100k(series.samples), one.meshCpuSecondsPer100k];
      if (one.p99Us !== null) lines.unshift(one.p99Us);
      if (one.meshCpuSecondsPerGb !== null) lines.push(one.meshCpuSecondsPerGb);
      return lines.map(formatNumber).join('\n');
    });
    table.push([name, labels.join('\n'), ...cells]);
  }
  const memory = variants.map((variant) => {
    const own = results.filter((one) => one.variant === variant);
    return formatNumber(Math.max(...own.map(({ meshRssMiB }) => meshRssMiB)));
  });
  table.push(['mesh memory', 'MiB', ...memory]);
  return table;
}

function againstTable({ result }: BenchOutcome, measured: readonly VariantName[]): Table.Table {
  const others = measured.filter((name) => name !== 'podwire');
  const table = new Table({ head: ['shape', '', ...others], style: PLAIN_STYLE });
  for (const [name] of byShape(result.results)) {
    const headline = findShape(name)?.headline ?? 'p50Us';
    const cells = others.map((other) => {
      const ratio = findRatio(result.ratios, name, 'podwire', other, headline);
      return ratio === undefined ? NOTHING : formatRatio(ratio);
    });
    table.push([name, METRICS[headline].label, ...cells]);
  }
  return table;
}

function hookTable(hooks: readonly HookCost[]): Table.Table {
  const table = new Table({
    head: ['program', 'runs/connection', 'ns/run', 'ns/connection'],
    style: PLAIN_STYLE,
  });
  for (const { program, runsPerConnection, nsPerRun, nsPerConnection } of hooks) {
    table.push([program, ...[runsPerConnection, nsPerRun, nsPerConnection].map(formatNumber)]);
  }
  const sum = hooks.reduce((total, { nsPerConnection }) => total + nsPerConnection, 0);
  table.push(['all', '', '', formatNumber(sum)]);
  return table;
}

function idleTable(idle: readonly IdleResult[]): Table.Table {
  const table = new Table({
    head: ['variant', 'connections', 'MiB before', 'MiB after', 'KiB/connection'],
    style: PLAIN_STYLE,
  });
  for (const { variant, connections, beforeMiB, afterMiB, kibPerConnection } of idle) {
    const [before, after, each] = [beforeMiB, afterMiB, kibPerConnection].map(formatNumber);
    table.push([variant, connections, before, after, each]);
  }
  return table;
}

function notes({ result, series, missing }: BenchOutcome): string[] {
  const { learningSeconds } = result.machine;
  const lines = [
    '"equal": the difference is within the spread of the rounds.  On one CPU everything in the path shares it, sidecars included; -free: a CPU for each end.',
  ];
  if (learningSeconds !== undefined) {
    lines.push(
      `podwire trusted the programs after ${learningSeconds.toFixed(1)} s of plain traffic.`,
    );
  }
  for (const { shape, variant, samples } of series) {
    const wakes = samples.reduce((sum, { emptyWakes }) => sum + emptyWakes, 0);
    if (wakes > 0) {
      lines.push(
        `${shape.name}, ${variant}: ${wakes} blocking reads returned EAGAIN without data.`,
      );
    }
  }
  for (const [variant, why] of missing) lines.push(`${variant}: ${why}`);
  return [lines.join('\n')];
}

function byShape(
  results: readonly ShapeResult[],
): ReadonlyMap<string, ReadonlyMap<VariantName, ShapeResult>> {
  const shapes = new Map<string, Map<VariantName, ShapeResult>>();
  for (const one of results) {
    const row = shapes.get(one.shape) ?? new Map<VariantName, ShapeResult>();
    shapes.set(one.shape, row.set(one.variant, one));
  }
  return shapes;
}
