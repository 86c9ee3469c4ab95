/**
 * Durations as Istio and the Gateway API write them: Go's, in decimal.
 */
const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)/g;
const WHOLE = /^[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+$/;
const MILLISECONDS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

export function isDuration(text: string): boolean {
  return parseDuration(text) !== undefined;
}

/** milliseconds; undefined: no duration */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (text.length > 64 || !WHOLE.test(text)) return undefined;
  let sum = 0;
  for (const [, number = '', unit = ''] of text.matchAll(PART)) {
    sum += Number(number) * (MILLISECONDS[unit] ?? 0);
  }
  return text.startsWith('-') ? -sum : sum;
}
