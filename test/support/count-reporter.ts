/**
 * A node:test reporter for test/run.sh: one line per test, `pass`, `fail` or `skip`, so that sh can add up the tiers with
 * grep, also those of a run that was killed half-way.
 *
 * A suite is no test, but one that is skipped as a whole hides its tests and counts as one skip.  A to-do is a skip.
 */
export interface TestEvent {
  readonly type: string;
  readonly data?: unknown;
}

interface TestData {
  readonly name: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details?: { readonly type?: string };
}

export function countEvent({ type, data }: TestEvent): string {
  if (type !== 'test:pass' && type !== 'test:fail') return '';
  const { name, skip, todo, details } = data as TestData;
  const skipped = isSet(skip) || isSet(todo);
  if (details?.type === 'suite' && !skipped) return '';
  const outcome = skipped ? 'skip' : type === 'test:pass' ? 'pass' : 'fail';
  return `${outcome} ${name.replaceAll('\n', ' ')}\n`;
}

/** `skip: ''` is what t.skip() without a reason gives. */
function isSet(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false;
}

export default async function* countReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string> {
  for await (const event of source) yield countEvent(event);
}
