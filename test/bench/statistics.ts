/**
 * The few statistics the bench needs, over the rounds of one run.  All of them shrug off a round in which the machine
 * was busy with something else.
 */

/** Lower and upper quartile: half of the rounds lie between them. */
export type Spread = readonly [lower: number, upper: number];

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spreadOf(values: readonly number[]): Spread {
  return [quantile(values, 0.25), quantile(values, 0.75)];
}

/** Between two values in proportion. */
function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('statistics of nothing');
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export interface Ratio {
  readonly value: number;
  readonly spread: Spread;
}

/**
 * How A compares with B, given the values of the same rounds: the ratio of their medians, and the spread of the rounds'
 * own ratios, in which a slow minute of the machine cancels out.
 */
export function ratioOf(a: readonly number[], b: readonly number[]): Ratio | undefined {
  if (a.length === 0 || a.length !== b.length) return undefined;
  const ratios: number[] = [];
  a.forEach((value, round) => {
    const other = b[round];
    if (other !== undefined && other > 0 && value > 0) ratios.push(value / other);
  });
  if (ratios.length < a.length) return undefined;
  return { value: median(a) / median(b), spread: spreadOf(ratios) };
}

/** A difference that is no larger than the spread is no difference. */
export function isEqual({ value, spread: [lower, upper] }: Ratio): boolean {
  return Math.abs(Math.log(value)) <= Math.log(upper / lower);
}
