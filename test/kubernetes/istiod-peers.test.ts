/**
 * istiod and podwire's own control read the same random PeerAuthentications: what pods list and what the policies say is the
 * same, but for what istiod 1.25 gets wrong.  Which cases these are is predicted from the objects alone, and one that is
 * predicted must show.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Authorization, Match } from '../../src/model/authorization.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { ROOT_NAMESPACE, startBesideIstiod, type BesideIstiod } from './beside-istiod.ts';
import { create, createNamespace, remove, runPod } from './objects.ts';

const SEED = Number(process.env['PODWIRE_TEST_SEED'] ?? 7);
const ROUNDS = 5;
const NAMESPACES = Array.from({ length: 24 }, (_, index) => `n${index}`);
const SETTLED_MS = 15_000;
/** Ages are whole seconds, and istiod chooses among equals as it pleases. */
const OLDER_MS = 1_100;
const PODS = { web: { app: 'web' }, both: { app: 'web', tier: 'front' }, other: { app: 'other' } };

type Mode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';
type Ports = Readonly<Record<string, Mode>>;

interface Spec {
  readonly labels?: Readonly<Record<string, string>>;
  readonly mode?: Mode | undefined;
  readonly ports?: Ports;
}

/** Of the younger ones too: each slot is one object, the first of each letter being made a second before the other. */
interface Slots {
  readonly wideA: Spec | undefined;
  readonly wideB: Spec | undefined;
  readonly narrowA: Spec | undefined;
  readonly narrowB: Spec | undefined;
}

const mode = fc.constantFrom<Mode | undefined>(
  undefined,
  'UNSET',
  'DISABLE',
  'PERMISSIVE',
  'STRICT',
  'STRICT',
);
const wide = fc.record({ mode });
const narrow = fc.record({
  mode,
  labels: fc.constantFrom<Readonly<Record<string, string>>>(
    { app: 'web' },
    { app: 'web', tier: 'front' },
    { app: 'nobody' },
  ),
  ports: fc.dictionary(
    fc.constantFrom('80', '443', '8080'),
    fc.constantFrom<Mode>('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'),
  ),
});
const maybe = <T>(what: fc.Arbitrary<T>, freq = 1): fc.Arbitrary<T | undefined> =>
  fc.option(what, { nil: undefined, freq });
const slots = fc.record<Slots>({
  wideA: maybe(wide, 2),
  wideB: maybe(wide),
  narrowA: maybe(narrow, 4),
  narrowB: maybe(narrow, 2),
});
const ANY_ROUND = fc.record({
  root: slots,
  namespaces: fc.array(slots, { minLength: NAMESPACES.length, maxLength: NAMESPACES.length }),
});

let beside: BesideIstiod;
/** what there is, "namespace/name" → age (the number of its making) and spec */
const live = new Map<string, { readonly age: number; readonly spec: Spec }>();
let made = 0;

before(async () => {
  beside = await startBesideIstiod(async (admin) => {
    for (const [index, namespace] of [...NAMESPACES, ROOT_NAMESPACE].entries()) {
      await createNamespace(admin, namespace);
      for (const [last, [name, labels]] of Object.entries(PODS).entries()) {
        await runPod(admin, namespace, name, `10.1.${index}.${last + 1}`, { labels });
      }
    }
  });
});
after(async () => {
  await beside?.stop();
});

/** Makes the slots what they are to be, as kubectl replace, create and delete. */
async function put(namespace: string, name: string, spec: Spec | undefined): Promise<void> {
  const key = `${namespace}/${name}`;
  const path = `/apis/security.istio.io/v1/namespaces/${namespace}/peerauthentications`;
  const before = live.get(key);
  if (spec === undefined) {
    if (before !== undefined) await remove(beside.admin, `${path}/${name}`);
    live.delete(key);
    return;
  }
  const body = { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication' };
  if (before !== undefined) {
    const old = (await beside.admin.call(`${path}/${name}`)) as { metadata: object };
    await beside.admin.call(`${path}/${name}`, {
      method: 'PUT',
      body: { ...body, metadata: old.metadata, spec: written(spec) },
    });
  } else {
    await create(beside.admin, path, { ...body, metadata: { name }, spec: written(spec) });
  }
  live.set(key, { age: before?.age ?? made, spec });
}

function written({ labels, mode: found, ports = {} }: Spec): object {
  return {
    ...(labels && { selector: { matchLabels: labels } }),
    ...(found && { mtls: { mode: found } }),
    ...(Object.keys(ports).length > 0 && {
      portLevelMtls: Object.fromEntries(Object.entries(ports).map(([p, m]) => [p, { mode: m }])),
    }),
  };
}

interface Applied {
  readonly key: string;
  readonly spec: Spec;
}

/** Oldest first. */
function specsOf(namespace: string, labels?: Readonly<Record<string, string>>): Applied[] {
  const selects = ({ spec }: { spec: Spec }): boolean =>
    labels === undefined
      ? spec.labels === undefined
      : spec.labels !== undefined &&
        Object.entries(spec.labels).every(([name, value]) => labels[name] === value);
  return [...live]
    .filter(([key, found]) => key.startsWith(`${namespace}/`) && selects(found))
    .sort(([, a], [, b]) => a.age - b.age)
    .map(([key, { spec }]) => ({ key, spec }));
}

const isSet = (found: Mode | undefined): boolean => found !== undefined && found !== 'UNSET';

/** What istiod 1.25 gets wrong of one that selects pods, as a policy. */
function wrongPolicy({ key, spec }: Applied): string | undefined {
  const [namespace] = key.split('/');
  const own = specsOf(namespace!)[0]?.spec;
  const meshIsStrict = specsOf(ROOT_NAMESPACE)[0]?.spec.mode === 'STRICT';
  const inherited = isSet(own?.mode) ? own!.mode === 'STRICT' : meshIsStrict;
  const ports = Object.values(spec.ports ?? {});
  const isOpen = spec.mode === 'PERMISSIVE' || spec.mode === 'DISABLE';
  if (isOpen && !isSet(own?.mode) && meshIsStrict && ports.includes('STRICT')) {
    return 'STRICT ports of a PERMISSIVE workload are forgotten below a STRICT mesh';
  }
  const opens = ports.includes('PERMISSIVE') || ports.includes('DISABLE');
  if (!isSet(spec.mode) && own !== undefined && !isSet(own.mode) && inherited && opens) {
    return 'a policy is named and not sent when the namespace says UNSET';
  }
  return undefined;
}

/** The same of what a pod lists.  A wrong policy has the right name. */
function wrongList(namespace: string, labels: Readonly<Record<string, string>>) {
  const [oldest] = specsOf(namespace, labels);
  if (oldest === undefined) return undefined;
  const ports = Object.values(oldest.spec.ports ?? {});
  const [own, mesh] = [namespace, ROOT_NAMESPACE].map((of) => specsOf(of)[0]?.spec.mode);
  const inherits = !isSet(oldest.spec.mode) && (isSet(own) ? own : mesh) === 'STRICT';
  return inherits && ports.includes('DISABLE') && !ports.includes('PERMISSIVE')
    ? 'DISABLE opens no port of a workload that inherits STRICT'
    : undefined;
}

function converted(snapshot: Snapshot, key: string): Authorization | undefined {
  const [namespace, name] = key.split('/');
  return snapshot.authorizations.get(`${namespace}/converted_peer_authentication_${name}`);
}

/** Clauses are AND and rules OR: order and repetition mean nothing. */
function meaning(policy: Authorization | undefined): unknown {
  if (policy === undefined) return undefined;
  const { namespace, name, scope, action, dryRun } = policy;
  const rules = policy.rules.map(({ clauses }) =>
    [...new Set(clauses.map(({ matches }) => matches.map(conditions).join(' or ')))].sort(),
  );
  return [namespace, name, scope, action, dryRun, rules.map((rule) => rule.join(' and ')).sort()];
}

function conditions(match: Match): string {
  const set = Object.entries(match).filter(([, list]) => (list as readonly unknown[]).length > 0);
  return set.map(([field, list]) => `${field} ${JSON.stringify(list)}`).join(', ');
}

function listed(snapshot: Snapshot, namespace: string, name: string): string[] | undefined {
  const found = snapshot.workloads.get(`Kubernetes//Pod/${namespace}/${name}`);
  return found && [...new Set(found.authorizationPolicies)].sort();
}

/** Lines for what differs and should not, or does not and should; and the reasons that showed. */
function compare(): { readonly lines: readonly string[]; readonly shown: ReadonlySet<string> } {
  const lines: string[] = [];
  const shown = new Set<string>();
  const [a, b] = [beside.theirs.store.current, beside.ours.current];
  const check = (what: string, left: unknown, right: unknown, why: string | undefined): void => {
    const [theirText, ourText] = [JSON.stringify(left), JSON.stringify(right)];
    if (theirText !== ourText && why !== undefined) shown.add(why);
    else if (theirText !== ourText) lines.push(`${what}: theirs ${theirText}, ours ${ourText}`);
    else if (why !== undefined) lines.push(`${what}: no difference, though ${why}`);
  };
  for (const key of live.keys()) {
    const namespace = key.split('/')[0]!;
    const spec = live.get(key)!.spec;
    const isNarrow = spec.labels !== undefined && namespace !== ROOT_NAMESPACE;
    const why = isNarrow ? wrongPolicy({ key, spec }) : undefined;
    check(`policy of ${key}`, meaning(converted(a, key)), meaning(converted(b, key)), why);
  }
  for (const namespace of [...NAMESPACES, ROOT_NAMESPACE]) {
    for (const [name, labels] of Object.entries(PODS)) {
      const why = namespace === ROOT_NAMESPACE ? undefined : wrongList(namespace, labels);
      check(
        `list of ${namespace}/${name}`,
        listed(a, namespace, name),
        listed(b, namespace, name),
        why,
      );
    }
  }
  const strict = `${ROOT_NAMESPACE}/istio_converted_static_strict`;
  const [left, right] = [a, b].map(({ authorizations }) => meaning(authorizations.get(strict)));
  check('STRICT', left, right, undefined);
  check('the number of policies', namesOf(a), namesOf(b), undefined);
  return { lines, shown };
}

/** Without those istiod gets wrong. */
function namesOf({ authorizations }: Snapshot): string[] {
  const wrong = [...live].flatMap(([key, { spec }]) => {
    const [namespace, name] = key.split('/');
    if (spec.labels === undefined || wrongPolicy({ key, spec }) === undefined) return [];
    return [`${namespace}/converted_peer_authentication_${name}`];
  });
  return [...authorizations.keys()].filter((name) => !wrong.includes(name)).sort();
}

test('random PeerAuthentications mean the same to istiod and to podwire control', async (t) => {
  const rounds = fc.sample(ANY_ROUND, { seed: SEED, numRuns: ROUNDS });
  const shown = new Set<string>();
  let strict = 0;
  for (const [index, round] of rounds.entries()) {
    await t.test(`round ${index + 1}`, async () => {
      const all = [
        [ROOT_NAMESPACE, round.root] as const,
        ...NAMESPACES.map((name, at) => [name, round.namespaces[at]!] as const),
      ];
      for (const letter of ['A', 'B'] as const) {
        made++;
        for (const [namespace, found] of all) {
          await put(namespace, `wide-${letter.toLowerCase()}`, found[`wide${letter}`]);
          await put(namespace, `narrow-${letter.toLowerCase()}`, found[`narrow${letter}`]);
        }
        await sleep(OLDER_MS);
      }
      await beside.theirs
        .until('the same', () => compare().lines.length === 0, SETTLED_MS)
        .catch(() => assert.deepEqual(compare().lines, []));
      for (const why of compare().shown) shown.add(why);
      strict += [...beside.ours.current.workloads.values()].filter(
        ({ authorizationPolicies }) => authorizationPolicies.length > 0,
      ).length;
    });
  }
  assert.ok(strict > ROUNDS * NAMESPACES.length * 0.5, `${strict} pods refuse something`);
  assert.equal(shown.size, 3, [...shown].join('; '));
});
