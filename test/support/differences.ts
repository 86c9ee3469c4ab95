/**
 * Two meshes told by different control planes, compared field by field.
 */
import type { Snapshot } from '../../src/model/snapshot.ts';
import { DEFAULT_TRUST_DOMAIN } from '../../src/model/workload.ts';

export interface Difference {
  /** "workloads > UID > field > …" */
  readonly path: string;
  /** undefined: absent */
  readonly theirs: unknown;
  readonly ours: unknown;
}

/** A difference that is meant, and the reason. */
export interface Intended {
  readonly path: RegExp;
  readonly why: string;
  /** when only these values are meant */
  readonly is?: (theirs: unknown, ours: unknown) => boolean;
}

type Tree = Readonly<Record<string, unknown>>;

/** Workloads, services and policies as plain objects; spellings of one meaning are made one, lists that are sets are sorted. */
export function plainMesh(snapshot: Snapshot): Tree {
  const workloads = [...snapshot.workloads.values()].map((one) => [
    one.uid,
    {
      ...one,
      trustDomain: one.trustDomain || DEFAULT_TRUST_DOMAIN,
      authorizationPolicies: [...new Set(one.authorizationPolicies)].sort(),
      services: Object.fromEntries(one.services),
    },
  ]);
  const tree = {
    workloads: Object.fromEntries(workloads) as Tree,
    services: Object.fromEntries(snapshot.services),
    authorizations: Object.fromEntries(snapshot.authorizations),
  };
  return JSON.parse(JSON.stringify(tree)) as Tree;
}

export function differences(theirs: unknown, ours: unknown, path = ''): Difference[] {
  if (isTree(theirs) && isTree(ours)) {
    const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])];
    return keys.flatMap((key) =>
      differences(theirs[key], ours[key], path === '' ? key : `${path} > ${key}`),
    );
  }
  return JSON.stringify(theirs) === JSON.stringify(ours) ? [] : [{ path, theirs, ours }];
}

/** Lines for what nobody meant, and for what was meant and is not there. */
export function unexplained(
  found: readonly Difference[],
  intended: readonly Intended[],
): { readonly surprises: readonly string[]; readonly stale: readonly string[] } {
  const explains = ({ path, is }: Intended, one: Difference): boolean =>
    path.test(one.path) && (is === undefined || is(one.theirs, one.ours));
  const surprises = found
    .filter((one) => !intended.some((reason) => explains(reason, one)))
    .map(
      ({ path, theirs, ours }) =>
        `${path}: theirs ${JSON.stringify(theirs)}, ours ${JSON.stringify(ours)}`,
    );
  const stale = intended
    .filter((reason) => !found.some((one) => explains(reason, one)))
    .map(({ path, why }) => `no difference at ${String(path)} (${why})`);
  return { surprises, stale };
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
