/**
 * Numbers as people read them.
 */
import { isEqual, type Spread } from './statistics.ts';

/** Three significant digits, thousands apart. */
export function formatNumber(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return Math.round(value).toLocaleString('en-US');
  if (magnitude >= 10) return value.toFixed(1);
  if (magnitude >= 1 || magnitude === 0) return value.toFixed(2);
  if (magnitude >= 0.01) return value.toFixed(3);
  return value.toPrecision(2);
}

export function formatSpread([min, max]: Spread): string {
  return `[${formatNumber(min)}..${formatNumber(max)}]`;
}

/** A ratio on which the rounds do not agree is called equal. */
export function formatRatio({
  value,
  spread,
}: {
  readonly value: number;
  readonly spread: Spread;
}): string {
  const text = `${value >= 0.1 && value < 100 ? value.toFixed(2) : formatNumber(value)} ×`;
  return isEqual(spread) ? `equal (${text})` : text;
}
