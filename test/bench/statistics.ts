/**
 * The few statistics the bench needs, over the rounds of one run.
 */

/** Lowest and highest value of all rounds. */
export type Spread = readonly [min: number, max: number];

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('the median of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('the spread of nothing');
  return [Math.min(...values), Math.max(...values)];
}

export interface Ratio {
  readonly value: number;
  readonly spread: Spread;
}

/**
 * How A compares with B, given the values of the same rounds.  The value is the ratio of the medians; the spread is that
 * of the rounds' own ratios, in which a slow minute of the machine cancels out.  The value always lies within it.
 */
export function ratioOf(a: readonly number[], b: readonly number[]): Ratio | undefined {
  const ratios: number[] = [];
  a.forEach((value, round) => {
    const other = b[round];
    if (other !== undefined && other > 0) ratios.push(value / other);
  });
  if (ratios.length === 0 || ratios.length < a.length || a.length !== b.length) return undefined;
  return { value: median(a) / median(b), spread: spreadOf(ratios) };
}

/** A difference that not all rounds agree on is no difference. */
export function isEqual(spread: Spread): boolean {
  return spread[0] <= 1 && spread[1] >= 1;
}
