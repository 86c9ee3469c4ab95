/**
 * The part of `podwire status` about what a foreign control plane leaves out, for people.
 */
import type { LeftOut } from '../xds/istiod/left-out-view.ts';
import type { LeftOutResource } from '../xds/istiod/left-out.ts';

type Effect = LeftOutResource['effect'];

const MAX_ROWS = 50;
const EFFECTS: readonly (readonly [Effect, string])[] = [
  ['not-in-force', 'not in force for connections of this node'],
  ['stricter', 'enforced, but stricter than written'],
];

export function leftOutPage(leftOut: LeftOut): string {
  const { controlPlane, types, reason, fix, resources, error } = leftOut;
  const lines = [`left out by ${controlPlane || 'this control plane'}:`];
  if (types.length > 0) {
    lines.push(`  ${types.join(', ')}: not asked for: ${reason}`, `    fix: ${fix}`);
  }
  for (const [effect, title] of EFFECTS) {
    const rows = resources.filter((one) => one.effect === effect);
    if (rows.length > 0) lines.push(`  ${title}:`, ...byReason(rows));
  }
  if (error !== '') lines.push(`  what users have configured there could not be read: ${error}`);
  return lines.join('\n');
}

function byReason(rows: readonly LeftOutResource[]): string[] {
  const groups = new Map<string, LeftOutResource[]>();
  for (const row of rows) {
    const key = `${row.reason}\n      fix: ${row.fix}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups].flatMap(([key, group]) => {
    const shown = group.slice(0, MAX_ROWS).map((row) => `      ${lineOf(row)}`);
    const more = group.length - shown.length;
    return [`    ${key}`, ...shown, ...(more > 0 ? [`      and ${more} more: -o json`] : [])];
  });
}

function lineOf({ kind, namespace, name, services }: LeftOutResource): string {
  const about = services.map(
    ({ host, waypoint }) => `${host} (${waypoint ? `waypoint ${waypoint}` : 'no waypoint'})`,
  );
  return `${kind} ${namespace}/${name}${about.length > 0 ? `: ${about.join(', ')}` : ''}`;
}
