/**
 * What a verb prints: a table for people, JSON or YAML for scripts.  The data is the same; only tables leave things out.
 */
import Table from 'cli-table3';
import { Option } from 'commander';
import { stringify } from 'yaml';

export type OutputFormat = 'table' | 'json' | 'yaml';

export interface Column<T> {
  readonly head: string;
  readonly cell: (row: T) => string | number;
  readonly align?: 'left' | 'right';
}

/** Columns two blanks apart and no frame: what kubectl prints, and what awk can read. */
const NO_FRAME = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print')
    .choices(['table', 'json', 'yaml'])
    .default('table');
}

/** Data for scripts, or `table()` for people. */
export function render(format: OutputFormat, data: unknown, table: () => string): string {
  switch (format) {
    case 'json':
      return JSON.stringify(data, null, 2);
    case 'yaml':
      return stringify(data, { lineWidth: 0 }).trimEnd();
    case 'table':
      return table();
  }
}

/** One line per row under a line of heads; `empty` when there is none. */
export function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  empty: string,
): string {
  if (rows.length === 0) return empty;
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: NO_FRAME,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(columns.map(({ cell }) => printable(cell(row))));
  return trimLines(table.toString());
}

/** "name  value" lines. */
export function renderFacts(facts: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join('\n');
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return unit === 0 ? `${value}B` : `${value.toFixed(value < 10 ? 1 : 0)}${units[unit]}`;
}

/** "5s", "3m12s", "2h5m", "4d3h": two units at most */
export function formatDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return ms < 1000 ? `${Math.max(0, Math.round(ms))}ms` : `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${seconds % 60}s`;
  if (seconds < 86_400)
    return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86_400)}d${Math.floor((seconds % 86_400) / 3600)}h`;
}

export function formatAge(iso: string, now: number = Date.now()): string {
  const since = Date.parse(iso);
  return Number.isNaN(since) ? '-' : formatDuration(now - since);
}

/** Names of executables and resources come from pods: nothing of them may steer the terminal. */
function printable(value: string | number): string {
  const text = String(value);
  // oxlint-disable-next-line no-control-regex
  return text === '' ? '-' : text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
