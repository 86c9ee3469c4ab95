/**
 * Paths of fields as findings write them: spec.http[0].match[1].headers['x-user'].exact
 */
export type PathStep = string | number;

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;
const INDEX = /^[0-9]+$/;

/** A step of digits is an index, as JSON pointers have it. */
export function fieldPath(start: string, steps: readonly PathStep[]): string {
  let path = start;
  for (const step of steps) {
    if (typeof step === 'number' || INDEX.test(step)) path += `[${step}]`;
    else path += PLAIN.test(step) ? `.${step}` : `['${step}']`;
  }
  return path;
}
