/**
 * Weights → the order a service's slots are filled in: smooth weighted round robin (nginx's), so that a heavy endpoint's
 * turns are spread out and not bunched.
 */
export interface SlotOrder {
  /** index of the endpoint, per slot */
  readonly order: readonly number[];
  /** the weights did not fit and were rounded */
  readonly rounded: boolean;
}

/** Slots of one service; more only when it has more endpoints than this. */
export const MAX_SLOTS = 1024;

/** `weights` are whole numbers; 0 gets no slot. */
export function fillSlots(weights: readonly number[]): SlotOrder {
  const used = weights.flatMap((weight, index) => (weight > 0 ? [index] : []));
  const { counts, rounded } = reduce(used.map((index) => weights[index]!));
  if (counts.every((count) => count === 1)) return { order: used, rounded };
  return { order: smooth(counts).map((position) => used[position]!), rounded };
}

/** Divides by the greatest common divisor, then scales down until all fit; nobody is rounded to nothing. */
function reduce(weights: readonly number[]): { counts: number[]; rounded: boolean } {
  const divisor = weights.reduce(gcd, 0);
  const counts = weights.map((weight) => weight / divisor);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= MAX_SLOTS) return { counts, rounded: false };
  if (counts.length >= MAX_SLOTS) {
    return { counts: counts.map(() => 1), rounded: counts.some((count) => count !== 1) };
  }
  // Every endpoint keeps one slot; the rest is shared by weight.
  const spare = MAX_SLOTS - counts.length;
  const scaled = counts.map((count) => 1 + Math.floor((count / total) * spare));
  return { counts: scaled, rounded: true };
}

function smooth(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const current = counts.map(() => 0);
  const order: number[] = [];
  for (let slot = 0; slot < total; slot++) {
    let best = 0;
    for (let i = 0; i < counts.length; i++) {
      current[i] = current[i]! + counts[i]!;
      if (current[i]! > current[best]!) best = i;
    }
    current[best] = current[best]! - total;
    order.push(best);
  }
  return order;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
