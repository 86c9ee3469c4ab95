/**
 * Numbers as people read them.
 */
import { isEqual, type Ratio, type Spread } from './statistics.ts';

/** Three significant digits, thousands apart. */
export function formatNumber(value: number): string {
  const magnitude = Math.abs(value);
  if (magnitude >= 100) return Math.round(value).toLocaleString('en-US');
  if (magnitude >= 10) return value.toFixed(1);
  if (magnitude >= 1 || magnitude === 0) return value.toFixed(2);
  if (magnitude >= 0.01) return value.toFixed(3);
  return value.toPrecision(2);
}

export function formatSpread([lower, upper]: Spread): string {
  return `[${formatNumber(lower)}..${formatNumber(upper)}]`;
}

/** A ratio that the spread does not bear out is called equal. */
export function formatRatio(ratio: Ratio): string {
  const { value } = ratio;
  const text = `${value >= 0.1 && value < 100 ? value.toFixed(2) : formatNumber(value)} ×`;
  return isEqual(ratio) ? `equal (${text})` : text;
}
