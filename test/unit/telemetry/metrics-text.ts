/** Reads the Prometheus text format back: name{labels} → value. */
import assert from 'node:assert/strict';

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export function parseMetrics(text: string): Series[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      assert.ok(match, `not in the Prometheus text format: ${line}`);
      const [, name = '', labels = '', value] = match;
      return {
        name,
        labels: Object.fromEntries(
          [...labels.matchAll(/([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text_]) => [
            key,
            text_,
          ]),
        ),
        value: Number(value),
      };
    });
}

/** The value of the one series with these labels (others may be there as well). */
export function valueOf(
  series: readonly Series[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const found = series.filter(
    (one) =>
      one.name === name &&
      Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  assert.equal(found.length, 1, `${found.length} series ${name} ${JSON.stringify(labels)}`);
  return found[0]!.value;
}
