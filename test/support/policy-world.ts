/**
 * Pods under random policies: the world in which the kernel must answer as the evaluator does. Policies come over xDS, as
 * messages, so that what istiod never writes (empty clauses, empty matches) is asked as well.
 */
import fc from 'fast-check';
import type { TestContext } from 'node:test';
import type { PolicyView } from '../../src/admin/view.ts';
import { evaluate } from '../../src/compile/kernel/policy/evaluate.ts';
import {
  authorizationKey,
  EMPTY_MATCH,
  type Authorization,
  type Match,
  type StringMatch,
} from '../../src/model/authorization.ts';
import { formatSpiffe } from '../../src/model/identity.ts';
import { ipFamily, parseIp, parsePrefix, type Ip } from '../../src/model/ip.ts';
import { launchAgent, type Agent, type AgentOptions } from './agent.ts';
import { Asker, serveByte, type Attempt, type Outcome } from './asker.ts';
import { createMesh, type Mesh, type Pod } from './netns.ts';
import { command } from './node.ts';
import { podWith } from './resources.ts';
import { until } from './puppet.ts';
import { pod as podAddress } from './xds-client.ts';
import { startServer, type ServerUnderTest } from './xds-server.ts';

export const PORTS = [80, 443, 8080, 9090];
/** no policy names it */
export const UNNAMED_PORT = 7777;
const DESTINATION = 'server';
const NAMESPACES: Readonly<Record<string, string>> = { carol: 'b' };
/** further addresses of the pod outside the mesh, by the last part */
const ALIASES = [101, 102, 199];

/** Enforces nothing; when it is in force, so is what came with it. */
const MARKER: Authorization = {
  ...{ name: '', namespace: 'nobody', scope: 'WORKLOAD_SELECTOR', action: 'ALLOW' },
  ...{ rules: [], dryRun: true },
};

/** A client as the kernel must see it. */
interface Source {
  readonly pod: Pod;
  readonly asker: Asker;
  readonly spiffe: string | undefined;
  readonly from: string;
  readonly address: Ip;
}

export interface Round {
  readonly policies: readonly Authorization[];
  /** WORKLOAD_SELECTOR policies that the server names */
  readonly named: readonly string[];
}

export interface Asked {
  readonly text: string;
  readonly outcome: Outcome;
  readonly allowed: boolean;
}

export class PolicyWorld {
  readonly mesh: Mesh;
  readonly server: ServerUnderTest;
  readonly #sources: Source[] = [];
  #agent: Agent | undefined;
  #rounds = 0;
  #before: Round = { policies: [], named: [] };

  private constructor(mesh: Mesh, server: ServerUnderTest) {
    this.mesh = mesh;
    this.server = server;
  }

  static async start(context: TestContext): Promise<PolicyWorld> {
    const mesh = createMesh(context, {
      pods: [
        ...['alice', 'bob', 'carol', DESTINATION].map((name) => ({
          name,
          annotations: { 'podwire.io/splice': 'always' },
        })),
        { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } },
      ],
    });
    const server = await startServer();
    mesh.defer(() => server.stop());
    const world = new PolicyWorld(mesh, server);
    await serveByte(mesh, mesh.pod(DESTINATION), [...PORTS, UNNAMED_PORT]);
    await world.#startSources();
    world.#tell({ policies: [], named: [] });
    return world;
  }

  async #startSources(): Promise<void> {
    const stranger = this.mesh.pod('stranger');
    for (const address of aliasesOf(stranger)) {
      const [bits, ...flags] = address.includes(':') ? [64, 'nodad'] : [24];
      const place = ['dev', 'eth0', ...flags.map(String)];
      command('ip', ['-n', stranger.netns, 'address', 'add', `${address}/${bits}`, ...place]);
    }
    for (const pod of this.mesh.pods) {
      if (pod.name === DESTINATION) continue;
      const asker = await Asker.start(this.mesh, pod);
      const outside = pod === stranger;
      const spiffe = outside ? undefined : spiffeOf(pod.name);
      const aliases = outside ? aliasesOf(pod) : [];
      for (const from of [pod.v4, pod.v6, ...aliases]) {
        this.#sources.push({ pod, asker, spiffe, from, address: parseIp(from)! });
      }
    }
  }

  get agent(): Agent {
    if (!this.#agent) throw new Error('no agent yet');
    return this.#agent;
  }

  async startAgent(options: Partial<AgentOptions> = {}): Promise<Agent> {
    const { mesh, server } = this;
    const agent = launchAgent({
      mesh,
      args: ['--xds', `http://127.0.0.1:${server.port}`],
      ...options,
    });
    agent.writeResource(
      'mesh.yaml',
      mesh.pods.map((pod) => podWith(pod, { namespace: namespaceOf(pod.name) })),
    );
    await agent.waitForLog('ready');
    this.#agent = agent;
    await until('all pods', async () => {
      const pods = (await agent.admin('/v1/pods')) as { state: string }[];
      return pods.filter(({ state }) => state === 'captured').length === mesh.pods.length - 1;
    });
    return agent;
  }

  /** Told to the agent, which may need a moment. */
  #tell(round: Round): string {
    const marker = `round-${this.#rounds++}`;
    const { policies, named } = round;
    const removals = [
      ...this.#before.policies.map(authorizationKey),
      `nobody/round-${this.#rounds - 2}`,
    ].filter((key) => !policies.some((policy) => authorizationKey(policy) === key));
    this.server.server.apply({
      addresses: {
        upserts: this.mesh.pods
          .filter(({ name }) => name !== 'stranger')
          .map(({ name, v4, v6 }) =>
            podAddress(name, v4, {
              uid: `Kubernetes//Pod/${namespaceOf(name)}/${name}`,
              namespace: namespaceOf(name),
              trustDomain: 'cluster.local',
              addresses: [parseIp(v4)!, parseIp(v6)!],
              authorizationPolicies: name === DESTINATION ? [...named, `nobody/${marker}`] : [],
            }),
          ),
        removals: [],
      },
      authorizations: {
        upserts: [...policies, { ...MARKER, name: marker }],
        removals,
      },
    });
    this.#before = round;
    return marker;
  }

  /** Resolves when the agent has applied it. */
  async enforce(round: Round): Promise<void> {
    const marker = this.#tell(round);
    const left = new Set(round.policies.map(({ namespace, name }) => `${namespace}/${name}`));
    await until('the policies', async () => {
      const policies = (await this.agent.admin('/v1/policies')) as PolicyView[];
      // what is removed goes last, after the workloads that named it
      const others = policies.filter(({ namespace, name }) => !left.has(`${namespace}/${name}`));
      return (
        others.every(({ name }) => name === marker) && others.some(({ pods }) => pods.length > 0)
      );
    });
  }

  /** Does not wait. */
  announce(round: Round): void {
    this.#tell(round);
  }

  /** What the evaluator says of every attempt of ask(). */
  expected(round: Round): boolean[] {
    const { v4, v6 } = this.mesh.pod(DESTINATION);
    return this.#sources.flatMap((source) => {
      const to = parseIp(ipFamily(source.address) === 4 ? v4 : v6)!;
      return [...PORTS, UNNAMED_PORT].map((port) => expected(round, source, to, port));
    });
  }

  /** Every source, both families, every port; with what the evaluator says of this round. */
  async ask(round: Round): Promise<Asked[]> {
    const server = this.mesh.pod(DESTINATION);
    const all = await Promise.all(
      this.#sources.map(async (source) => {
        const to = ipFamily(source.address) === 4 ? server.v4 : server.v6;
        const { from } = source;
        const attempts = [...PORTS, UNNAMED_PORT].map((port): Attempt => ({ from, to, port }));
        const outcomes = await source.asker.ask(attempts);
        return attempts.map(({ port }, i): Asked => ({
          text: `${source.pod.name} ${source.address} → ${to}:${port}`,
          outcome: outcomes[i]!,
          allowed: expected(round, source, parseIp(to)!, port),
        }));
      }),
    );
    return all.flat();
  }

  /** What random policies are made of here. */
  arbitrary(): fc.Arbitrary<Round> {
    const pods = this.mesh.pods.map(({ v4, v6 }) => [v4, v6]).flat();
    const stranger = this.mesh.pod('stranger');
    const aliases = aliasesOf(stranger);
    const six = stranger.v6.replace(/::.*/, '');
    return roundOf([
      ...[...pods, ...aliases].map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`),
      ...aliases.map((ip) => `${ip}/${ip.includes(':') ? 121 : 25}`),
      ...[`${stranger.v4}/24`, `${stranger.v4}/31`, '10.0.0.0/8', '0.0.0.0/0', '0.0.0.0/1'],
      ...[`${six}::/64`, 'fd00::/8', '::/0', '::/1'],
    ]);
  }
}

function namespaceOf(name: string): string {
  return NAMESPACES[name] ?? 'default';
}

function spiffeOf(name: string): string {
  return formatSpiffe({
    trustDomain: 'cluster.local',
    namespace: namespaceOf(name),
    serviceAccount: name,
  });
}

function aliasesOf({ v4, v6 }: Pod): string[] {
  return ALIASES.flatMap((last) => [aliasOf(v4, last), aliasOf(v6, last)]);
}

function aliasOf(address: string, last: number): string {
  return address.includes(':')
    ? address.replace(/::.*/, `::${last.toString(16)}`)
    : address.replace(/\d+$/, String(last));
}

function expected(round: Round, source: Source, destAddr: Ip, destPort: number): boolean {
  const inForce = round.policies.filter(
    ({ scope, namespace, name }) =>
      scope === 'GLOBAL' ||
      (scope === 'NAMESPACE' && namespace === 'default') ||
      (scope === 'WORKLOAD_SELECTOR' && round.named.includes(`${namespace}/${name}`)),
  );
  return evaluate(inForce, {
    sourceIdentity: source.spiffe,
    sourceAddr: source.address,
    destAddr,
    destPort,
  }).allowed;
}

function roundOf(prefixTexts: readonly string[]): fc.Arbitrary<Round> {
  const prefixes = fc.constantFrom(...prefixTexts.map((text) => parsePrefix(text)!));
  const ports = fc.constantFrom(...PORTS);
  const namespaces = stringMatch('default', 'b', 'defaul', '');
  const principals = stringMatch(
    ...['alice', 'bob'].map((name) => `cluster.local/ns/default/sa/${name}`),
    ...['cluster.local/ns/b/sa/carol', 'cluster.local/ns/default', '/sa/alice', 'bob', ''],
  );
  const accounts = plain({
    namespace: fc.constantFrom('default', 'b'),
    serviceAccount: fc.constantFrom('alice', 'bob', 'carol'),
  });
  /* Each field is set rarely, or nothing would ever match. */
  const match: fc.Arbitrary<Match> = plain({
    namespaces: few(namespaces),
    notNamespaces: few(namespaces),
    serviceAccounts: few(accounts),
    notServiceAccounts: few(accounts),
    principals: few(principals),
    notPrincipals: few(principals),
    sourceIps: few(prefixes),
    notSourceIps: few(prefixes),
    destinationIps: few(prefixes),
    notDestinationIps: few(prefixes),
    destinationPorts: few(ports),
    notDestinationPorts: few(ports),
  }).map((fields) => ({ ...EMPTY_MATCH, ...fields }));
  const rule = plain({
    clauses: fc.array(plain({ matches: fc.array(match, { maxLength: 2 }) }), { maxLength: 2 }),
  });
  const policy: fc.Arbitrary<Authorization> = plain({
    name: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
    namespace: fc.constantFrom('default', 'b', 'istio-system'),
    scope: fc.constantFrom('GLOBAL', 'NAMESPACE', 'WORKLOAD_SELECTOR'),
    action: fc.constantFrom('ALLOW', 'ALLOW', 'DENY'),
    rules: fc.array(rule, { minLength: 0, maxLength: 3 }),
    dryRun: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, fc.constant(true)),
  });
  return fc
    .tuple(
      fc.uniqueArray(policy, { selector: authorizationKey, minLength: 1, maxLength: 4 }),
      fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    )
    .map(([policies, chosen]) => ({
      policies,
      named: policies
        .filter(({ scope }, i) => scope === 'WORKLOAD_SELECTOR' && chosen[i])
        .map(authorizationKey),
    }));
}

function few<T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant<T[]>([]) },
    fc.array(item, { minLength: 1, maxLength: 2 }),
  );
}

function stringMatch(...texts: readonly string[]): fc.Arbitrary<StringMatch> {
  return fc.oneof(
    fc.constant<StringMatch>({ type: 'presence' }),
    plain({
      type: fc.constantFrom('exact', 'prefix', 'suffix'),
      value: fc.constantFrom(...texts),
    }),
  );
}

function plain<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}
