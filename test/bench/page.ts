/**
 * The result as one self-contained page: data, styles, charts and the chart library (uPlot) in a single file.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import type { BenchOutcome } from './bench.ts';
import { formatNumber, formatRatio, formatSpread } from './format.ts';
import { VARIANT_NAMES, type VariantName } from './options.ts';
import { findRatio, type BenchResult, type RatioResult, type ShapeResult } from './result.ts';
import { METRICS, findShape, type Shape } from './shapes.ts';
import { isEqual } from './statistics.ts';

/** Which shapes speak for the whole, when they were measured. */
const HIGHLIGHTS = ['tcp-rr-64', 'tcp-crr', 'tcp-stream', 'http-1k-c16'];

export function renderPage({ result, missing }: BenchOutcome): string {
  const root = repositoryRoot();
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  const shapes = [...new Set(result.results.map(({ shape }) => shape))]
    .map(findShape)
    .filter((shape) => shape !== undefined);
  const variants = VARIANT_NAMES.filter((name) =>
    result.results.some(({ variant }) => variant === name),
  );
  const data = {
    variants,
    shapes: shapes.map((shape) => ({ ...shape, ...METRICS[shape.headline] })),
    results: result.results,
  };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>podwire bench</title>
<style>
${read('node_modules/uplot/dist/uPlot.min.css')}
${read('test/bench/page/page.css')}
</style>
</head>
<body>
<header>
<h1>podwire bench</h1>
<p>${escapeHtml(subtitle(result))}</p>
</header>
<main>
${highlights(result)}
<section><h2>At a glance</h2>
<p class="hint">Median of the rounds; the thin line spans the middle half of them.</p>
<div class="grid" id="bars"></div></section>
<section><h2>Tail latency</h2>
<p class="hint">From the median to the slowest of a thousand, µs, logarithmic.</p>
<div class="legend">${legend(variants)}</div>
<div class="grid" id="tails"></div></section>
<section><h2>Figures</h2>${figures(result, shapes, variants)}</section>
<section><h2>What the mesh costs</h2>${costs(result, shapes, variants)}</section>
${idle(result)}
${notes(result, missing)}
</main>
<script type="application/json" id="data">${JSON.stringify(data).replaceAll('<', '\\u003c')}</script>
<script>
${read('node_modules/uplot/dist/uPlot.iife.min.js')}
</script>
<script>
${read('test/bench/page/page.js')}
</script>
</body>
</html>
`;
}

function subtitle({ machine, rounds, results }: BenchResult): string {
  const rules = results[0]?.iptablesRules ?? 0;
  return [
    `${machine.cpuModel}, ${machine.cpus} CPUs`,
    `kernel ${machine.kernel}`,
    ...(machine.envoy === undefined ? [] : [`Envoy ${machine.envoy}`]),
    `${rounds} alternated rounds`,
    ...(rules > 0 ? [`${rules} iptables rules per chain`] : []),
    machine.date.slice(0, 10),
  ].join(' · ');
}

function highlights({ ratios }: BenchResult): string {
  const tiles = HIGHLIGHTS.flatMap((name) => {
    const shape = findShape(name);
    const metric = shape?.headline;
    const own = ratios.filter(
      (ratio) => ratio.shape === name && ratio.variant === 'podwire' && ratio.metric === metric,
    );
    const base = own.find(({ against }) => against === 'sidecar-mtls') ?? own[0];
    if (shape === undefined || base === undefined) return [];
    const others = own
      .filter((ratio) => ratio !== base)
      .map((ratio) => `${advantage(ratio)} ${ratio.against}`);
    const [big, rest] = advantage(base).split(/ (?=than|to)/);
    return [
      `<div class="tile"><h3>${escapeHtml(shape.title)}</h3>
<p class="big">${big}</p><p>${rest} ${base.against}</p>
<p class="hint">${escapeHtml(others.join(' · '))}</p></div>`,
    ];
  });
  if (tiles.length === 0) return '';
  return `<section><h2>podwire compared</h2><div class="tiles">${tiles.join('')}</div></section>`;
}

/** "3.1 × faster than", or as equal. */
function advantage(ratio: RatioResult): string {
  const { metric, value } = ratio;
  if (isEqual(ratio)) return 'equal to';
  const factor = METRICS[metric].higherIsBetter ? value : 1 / value;
  const [times, word] = factor >= 1 ? [factor, 'faster'] : [1 / factor, 'slower'];
  return `${times.toFixed(times >= 10 ? 0 : times >= 2 ? 1 : 2)} × ${word} than`;
}

function legend(variants: readonly VariantName[]): string {
  return variants.map((name) => `<span class="key ${name}">${name}</span>`).join('');
}

function figures(
  { results, ratios }: BenchResult,
  shapes: readonly Shape[],
  variants: readonly VariantName[],
): string {
  const unit = ({ headline }: Shape): string => `<br><small>${METRICS[headline].label}</small>`;
  return table(variants, shapes, unit, ({ name, headline }, variant) => {
    const one = find(results, name, variant);
    const value = one?.[headline];
    if (one === undefined || value === undefined || value === null) return '';
    const ratio = findRatio(ratios, name, variant, 'plain', headline);
    const compared = ratio === undefined ? '' : `<br><em>${formatRatio(ratio)}</em>`;
    return `<b>${formatNumber(value)}</b> <small>${formatSpread(one.spread)}</small>${compared}`;
  });
}

function costs(
  { results }: BenchResult,
  shapes: readonly Shape[],
  variants: readonly VariantName[],
): string {
  const mesh = variants.filter((name) => name !== 'plain' && name !== 'unix');
  if (mesh.length === 0) return '<p class="hint">No mesh was measured.</p>';
  const memory = mesh.map((name) => {
    const own = results.filter(({ variant }) => variant === name);
    return `${name} ${formatNumber(Math.max(...own.map(({ meshRssMiB }) => meshRssMiB)))} MiB`;
  });
  return `<p class="hint">CPU seconds of the mesh's own processes per 100,000 operations. Memory: ${memory.join(', ')}.</p>
${table(
  mesh,
  shapes,
  () => '',
  ({ name }, variant) => {
    const one = find(results, name, variant);
    if (one === undefined) return '';
    const { meshCpuSecondsPer100k, meshCpuSecondsPerGb } = one;
    const perGb = meshCpuSecondsPerGb === null ? '' : formatNumber(meshCpuSecondsPerGb);
    return `${formatNumber(meshCpuSecondsPer100k)}${perGb && `<br><small>${perGb} per GB</small>`}`;
  },
)}`;
}

function idle({ idle: results = [] }: BenchResult): string {
  if (results.length === 0) return '';
  const rows = results.map(
    ({ variant, connections, beforeMiB, afterMiB, kibPerConnection }) =>
      `<tr><th>${variant}</th>${[connections, beforeMiB, afterMiB, kibPerConnection]
        .map((value) => `<td>${formatNumber(value)}</td>`)
        .join('')}</tr>`,
  );
  return `<section><h2>Idle connections</h2><div class="scroll"><table><thead><tr><th></th><th>connections</th><th>MiB before</th><th>MiB after</th><th>KiB each</th></tr></thead><tbody>${rows.join('')}</tbody></table></div></section>`;
}

function table(
  variants: readonly VariantName[],
  shapes: readonly Shape[],
  unit: (shape: Shape) => string,
  cell: (shape: Shape, variant: VariantName) => string,
): string {
  const head = variants.map((name) => `<th>${name}</th>`).join('');
  const rows = shapes.map((shape) => {
    const cells = variants.map((variant) => `<td>${cell(shape, variant)}</td>`).join('');
    return `<tr><th>${shape.name}${unit(shape)}</th>${cells}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
}

function notes({ machine }: BenchResult, missing: BenchOutcome['missing']): string {
  const lines = [
    'Ratios are to plain; “equal” means that the difference is within the spread of the rounds.',
    'On one CPU everything in the path shares it, sidecars included; -free gives client and server a CPU each.',
    ...(machine.learningSeconds === undefined
      ? []
      : [
          `podwire trusted the programs after ${machine.learningSeconds.toFixed(1)} s of plain traffic.`,
        ]),
    ...[...missing].map(([variant, why]) => `${variant}: ${why}.`),
  ];
  return `<footer>${lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('')}</footer>`;
}

function find(
  results: readonly ShapeResult[],
  shape: string,
  variant: VariantName,
): ShapeResult | undefined {
  return results.find((one) => one.shape === shape && one.variant === variant);
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
