/**
 * What differs between the resources of two processes, field by field.
 */
import type { ResourceView } from '../../admin/resource-view.ts';

export interface FieldDifference {
  /** "chains[0].handler.type"; '' the whole */
  readonly path: string;
  /** absent: not there */
  readonly agent?: unknown;
  readonly control?: unknown;
}

export interface ResourceDifference {
  readonly name: string;
  readonly state: 'only-agent' | 'only-control' | 'differs';
  /** of resources that differ */
  readonly fields: readonly FieldDifference[];
}

/** By name; the order of the lists does not matter. */
export function diffResources(
  agent: readonly ResourceView[],
  control: readonly ResourceView[],
): ResourceDifference[] {
  const held = byName(agent);
  const sent = byName(control);
  const names = [...new Set([...held.keys(), ...sent.keys()])].sort();
  return names.flatMap((name): ResourceDifference[] => {
    if (!held.has(name)) return [{ name, state: 'only-control', fields: [] }];
    if (!sent.has(name)) return [{ name, state: 'only-agent', fields: [] }];
    const fields = [...differences('', held.get(name), sent.get(name))];
    return fields.length === 0 ? [] : [{ name, state: 'differs', fields }];
  });
}

function byName(resources: readonly ResourceView[]): Map<string, unknown> {
  return new Map(resources.map(({ name, resource }) => [name, resource]));
}

function* differences(path: string, agent: unknown, control: unknown): Iterable<FieldDifference> {
  if (Object.is(agent, control)) return;
  if (!isTree(agent) || !isTree(control) || Array.isArray(agent) !== Array.isArray(control)) {
    yield {
      path,
      ...(agent !== undefined && { agent }),
      ...(control !== undefined && { control }),
    };
    return;
  }
  for (const key of new Set([...Object.keys(agent), ...Object.keys(control)])) {
    yield* differences(below(path, key, Array.isArray(agent)), agent[key], control[key]);
  }
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function below(path: string, key: string, inList: boolean): string {
  if (inList) return `${path}[${key}]`;
  const name = /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
  return path === '' ? name : `${path}.${name}`;
}
