/**
 * What the demo tells, step by step.  Every line it prints was measured or asked for a moment before.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionView } from '../../src/admin/view.ts';
import { allowedCpus } from '../bench/cpus.ts';
import { DemoAgent, cleanUp, configFolder, liveAmong } from './agent.ts';
import { type Ground, type Pod, ownBelongings, takeDown } from './ground.ts';
import {
  type Answer,
  type ClientProgram,
  type Ends,
  type ServerProgram,
  startClient,
  startServer,
  valueOf,
} from './pods.ts';
import { POLICY_YAML, meshYaml } from './resources.ts';
import type { Screen, Tone } from './screen.ts';
import {
  type RoundTrip,
  countByFolder,
  describeExchanges,
  describePath,
  describeRoundTrip,
  groupDigits,
  pickFields,
  range,
  ratio,
  seconds,
  shortIdentity,
} from './words.ts';

const SERVER_PORT = 7000;
const SERVICE_IP = '10.99.0.10';
const SERVICE_PORT = 80;
const SERVICE = `${SERVICE_IP}:${SERVICE_PORT}`;

/** A: opened before the agent starts.  B: opened after it has learnt.  Others are opened and closed. */
const A = 0;
const B = 1;
const C = 2;
const TRIAL = 3;
const LETTERS = ['A', 'B', 'C'];

const MEASURE_MS = 500;
const POLL_MS = 10;
const TRIAL_MS = 400;
const LEARN_MS = 40_000;
const POLICY_MS = 15_000;

const OLDER = 'older than the agent, so policy does not reach it';
const ACCESS_FIELDS = [
  'msg',
  'src.workload',
  'dst.workload',
  'policy',
  'error',
  'path',
  'duration',
];

export interface StoryInput {
  readonly ground: Ground;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

export async function tellStory(input: StoryInput): Promise<void> {
  const story = await Story.begin(input);
  const before = await story.before();
  const agent = await story.agentStarts(before);
  await story.policyIsSaved(agent);
  const next = await story.agentIsKilled(agent);
  await story.after(next);
}

class Story {
  readonly #ground: Ground;
  readonly #screen: Screen;
  readonly #signal: AbortSignal;
  readonly #client: ClientProgram;
  readonly #server: ServerProgram;
  readonly #pods: { readonly client: Pod; readonly server: Pod };
  /** the server's address */
  readonly #direct: string;
  /** by slot: the client's address */
  readonly #addresses = new Map<number, string>();

  private constructor(
    { ground, screen, signal }: StoryInput,
    pods: { readonly client: Pod; readonly server: Pod },
    programs: { readonly client: ClientProgram; readonly server: ServerProgram },
  ) {
    this.#ground = ground;
    this.#screen = screen;
    this.#signal = signal;
    this.#pods = pods;
    this.#client = programs.client;
    this.#server = programs.server;
    this.#direct = `${pods.server.address}:${SERVER_PORT}`;
  }

  static async begin(input: StoryInput): Promise<Story> {
    const { ground, screen, signal } = input;
    screen.heading('Two pods are running: network namespaces on a bridge, no mesh');
    screen.progress('making them');
    const [cpu = 0] = allowedCpus();
    const client = ground.addPod('client', '10.98.0.1');
    const server = ground.addPod('server', '10.98.0.2');
    const programs = {
      server: await startServer({ ground, pod: server, cpu, port: SERVER_PORT, signal }),
      client: startClient({ ground, pod: client, cpu, signal }),
    };
    screen.table(
      [
        { head: 'POD', cell: ({ pod }) => pod.name },
        { head: 'ADDRESS', cell: ({ pod }) => pod.address },
        { head: 'PROGRAM', cell: ({ pod }) => `demo-${pod.name}` },
        { head: 'PID', cell: ({ pid }) => pid },
        { head: 'CPU', cell: () => cpu },
        { head: 'NAMESPACE', cell: ({ pod }) => pod.netns },
      ],
      [
        { pod: client, pid: programs.client.pid },
        { pod: server, pid: programs.server.pid },
      ],
      () => 'neutral',
    );
    const story = new Story(input, { client, server }, programs);
    valueOf('connection A', await story.#dial(A, story.#direct));
    screen.fact('connection A', 'opened now, stays open; a message to and fro every 20 ms');
    return story;
  }

  async before(): Promise<RoundTrip> {
    this.#screen.heading('Before: plain TCP');
    const ends = valueOf('a new connection', await this.#dial(TRIAL, this.#direct));
    await this.#showEnds(ends);
    const roundTrip = await this.#measure(TRIAL);
    await this.#hangUp(TRIAL);
    this.#screen.fact('path', 'TCP over eth0, veth, bridge, veth, eth0');
    this.#screen.fact('round trip', describeRoundTrip(roundTrip));
    const service = await this.#client.open(TRIAL, SERVICE);
    this.#screen.fact('Service', `${SERVICE}: ${outcome(service)}`, 'bad');
    return roundTrip;
  }

  async agentStarts(before: RoundTrip): Promise<DemoAgent> {
    this.#screen.heading('The agent starts; the pods are not touched');
    this.#writeMesh();
    this.#screen.progress('podwire agent');
    const agent = await DemoAgent.start(this.#ground, this.#signal);
    const ready = `ready after ${seconds(agent.readyAfterMs)}`;
    this.#screen.fact('podwire agent', `pid ${agent.pid}, ${ready}, ${agent.links().length} hooks`);
    this.#screen.fact('pods', `pids ${this.#client.pid} and ${this.#server.pid}, as before`);
    await this.#showConnection(A, 'stays plain TCP');
    const ends = await this.#learn(agent);
    await this.#showEnds(ends);
    await this.#showTable(agent);
    const now = await this.#measure(B);
    this.#screen.fact('round trip', describeRoundTrip(now), 'good');
    this.#screen.fact('against plain', ratio(now, before), now.us < before.us ? 'good' : 'bad');
    const counters = await agent.counters();
    const redirected = `${groupDigits(counters['redirect-messages'] ?? 0)} messages, ${groupDigits(counters['redirect-bytes'] ?? 0)} bytes`;
    this.#screen.fact('redirected', `${redirected} went from socket to socket`);
    return agent;
  }

  async policyIsSaved(agent: DemoAgent): Promise<void> {
    this.#screen.heading('A policy file is saved into the folder');
    this.#screen.note(POLICY_YAML.trimEnd());
    const file = join(configFolder(this.#ground), 'policy.yaml');
    let start = performance.now();
    writeFileSync(file, POLICY_YAML);
    const refused = await this.#dialUntil(false);
    const refusedMs = performance.now() - start;
    this.#screen.fact('new connections', `${refused} after ${seconds(refusedMs)}`, 'bad');
    const ended = await this.#waitForEnd(B);
    this.#screen.fact('connection B', `ended: ${ended}`, 'bad');
    await this.#showConnection(A, OLDER);
    const failed = await agent.waitForAccess('connection failed', () => true);
    const complete = await agent.waitForAccess('connection complete', (line) => {
      return line['src.addr'] === this.#addresses.get(B);
    });
    for (const line of [failed, complete]) {
      this.#screen.fact('access log', pickFields(line, ACCESS_FIELDS));
    }
    start = performance.now();
    rmSync(file);
    const worked = await this.#dialUntil(true);
    const workedMs = performance.now() - start;
    this.#screen.fact('file removed', `${worked} after ${seconds(workedMs)}`, 'good');
  }

  async agentIsKilled(agent: DemoAgent): Promise<DemoAgent> {
    this.#screen.heading('The agent is killed (SIGKILL)');
    valueOf('connection B', await this.#dial(B, SERVICE));
    const [before] = await this.#views(agent, [B]);
    await agent.stop('SIGKILL');
    this.#screen.fact('podwire agent', `pid ${agent.pid} is gone`, 'bad');
    this.#screen.fact('connection B', describeRoundTrip(await this.#measure(B)), 'good');
    valueOf('connection C', await this.#dial(C, SERVICE));
    const newOne = describeRoundTrip(await this.#measure(C));
    this.#screen.fact('C, a new one', newOne, 'good');
    await this.#showConnection(A);
    this.#screen.progress('podwire agent');
    const next = await DemoAgent.start(this.#ground, this.#signal);
    const { kernel } = await next.status();
    const found = kernel.adopted ? 'adopted what the first one left' : 'started afresh';
    const ready = `pid ${next.pid}, ready after ${seconds(next.readyAfterMs)}`;
    this.#screen.fact('next agent', `${ready}, ${found}`, kernel.adopted ? 'good' : 'bad');
    await this.#showTable(next);
    const [now] = await this.#views(next, [B]);
    const same = now !== undefined && now.id === before?.id;
    this.#screen.fact('connection B', same ? 'the same in both agents' : 'lost', tone(same));
    return next;
  }

  async after(agent: DemoAgent): Promise<void> {
    this.#screen.heading('After: the agent is stopped and everything is removed');
    const links = agent.links();
    await agent.stop('SIGTERM');
    this.#screen.progress('podwire cleanup');
    const removed = await cleanUp(this.#ground, this.#signal);
    this.#screen.fact('podwire cleanup', `removed ${countByFolder(removed)}`);
    await this.#showConnection(A);
    const spliced = describeRoundTrip(await this.#measure(B));
    this.#screen.fact('connection B', `${spliced}; spliced until it ends`);
    valueOf('a new connection', await this.#dial(TRIAL, this.#direct));
    const roundTrip = await this.#measure(TRIAL);
    this.#screen.fact('a new connection', describeRoundTrip(roundTrip));
    const service = await this.#client.open(TRIAL, SERVICE);
    this.#screen.fact('Service', `${SERVICE}: ${outcome(service)}`, 'bad');
    this.#screen.progress('removing the pods');
    takeDown();
    const { namespaces, cgroups, pins } = ownBelongings();
    const left = liveAmong(links);
    const counts = [
      `${namespaces.length} network namespaces (of 3)`,
      `${cgroups.length} cgroups (of 1)`,
      `${pins.length} folders of pins (of 1)`,
      `${left.length} hooks (of ${links.length})`,
    ];
    const clean = [namespaces, cgroups, pins, left].every(({ length }) => length === 0);
    this.#screen.fact('left behind', counts.join(', '), tone(clean));
    if (!clean) throw new Error('the demo has left something behind');
  }

  #writeMesh(): void {
    const yaml = meshYaml({
      ...this.#pods,
      serverPort: SERVER_PORT,
      serviceIp: SERVICE_IP,
      servicePort: SERVICE_PORT,
    });
    writeFileSync(join(configFolder(this.#ground), 'mesh.yaml'), yaml);
  }

  async #dial(slot: number, address: string): Promise<Answer<Ends>> {
    const answer = await this.#client.open(slot, address);
    if (answer.ok) this.#addresses.set(slot, answer.value.local);
    return answer;
  }

  async #hangUp(slot: number): Promise<void> {
    await this.#client.close(slot);
    this.#addresses.delete(slot);
  }

  /** Opens connections, one after the other, until both programs are trusted and one is spliced. */
  async #learn(agent: DemoAgent): Promise<Ends> {
    const start = performance.now();
    let first = 1;
    let seen = '';
    for (let number = 1; ; number++) {
      const ends = valueOf('a new connection', await this.#dial(B, SERVICE));
      await sleep(TRIAL_MS, undefined, { signal: this.#signal });
      const [view] = await this.#views(agent, [B]);
      const path = view === undefined ? 'not seen' : describePath(view);
      if (seen !== '' && path !== seen) {
        this.#screen.fact(`connection ${range(first, number - 1)}`, seen);
        first = number;
      }
      seen = path;
      if (view?.path === 'spliced') {
        const learnt = `${path} (B from now on), ${seconds(performance.now() - start)} after the first`;
        this.#screen.fact(`connection ${number}`, learnt, 'good');
        return ends;
      }
      this.#screen.progress(
        `connection ${number}: ${path}; the agent watches how the programs read`,
      );
      if (performance.now() - start > LEARN_MS) {
        throw new Error(`no connection was spliced within ${seconds(LEARN_MS)}: ${path}`);
      }
      await this.#hangUp(B);
    }
  }

  async #measure(slot: number): Promise<RoundTrip> {
    this.#screen.progress('measuring the round trip');
    const before = this.#ground.packets();
    const { count, us } = valueOf('measuring', await this.#client.measure(slot, MEASURE_MS));
    return { us, exchanges: count, packets: this.#ground.packets() - before };
  }

  /** Dials until it works (or does not): how it ended. */
  async #dialUntil(works: boolean): Promise<string> {
    const deadline = performance.now() + POLICY_MS;
    for (;;) {
      const answer = await this.#client.open(TRIAL, SERVICE);
      if (answer.ok) await this.#client.close(TRIAL);
      if (answer.ok === works) return outcome(answer);
      if (performance.now() > deadline) {
        throw new Error(`the policy has no effect after ${seconds(POLICY_MS)}: ${outcome(answer)}`);
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  async #waitForEnd(slot: number): Promise<string> {
    const deadline = performance.now() + POLICY_MS;
    for (;;) {
      const answer = await this.#client.report(slot);
      if (!answer.ok) return answer.error;
      if (performance.now() > deadline) {
        throw new Error(
          `connection ${LETTERS[slot]} goes on ${seconds(POLICY_MS)} after the policy`,
        );
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  /** What both ends are told by getpeername() and getsockname(). */
  async #showEnds(ends: Ends): Promise<void> {
    const server = await this.#server.accepted(ends.local);
    this.#screen.fact('client sees', `itself as ${ends.local}, the server as ${ends.peer}`);
    this.#screen.fact('server sees', `itself as ${server.local}, the client as ${server.peer}`);
  }

  /** How a connection has fared since it was last asked for. */
  async #showConnection(slot: number, remark = ''): Promise<void> {
    const answer = await this.#client.report(slot);
    const fared = answer.ok ? `goes on, ${describeExchanges(answer.value)}` : answer.error;
    const text = remark === '' ? fared : `${fared}; ${remark}`;
    this.#screen.fact(`connection ${LETTERS[slot]}`, text, tone(answer.ok));
  }

  /** In the order of the slots; those that are closed are left out. */
  async #views(agent: DemoAgent, slots: readonly number[]): Promise<ConnectionView[]> {
    const views = await agent.connections();
    return slots.flatMap((slot) => {
      const address = this.#addresses.get(slot);
      return views.filter(({ source }) => source.address === address);
    });
  }

  async #showTable(agent: DemoAgent): Promise<void> {
    const names = new Map([...this.#addresses].map(([slot, address]) => [address, LETTERS[slot]]));
    const views = await this.#views(agent, [A, B, C]);
    this.#screen.table<ConnectionView>(
      [
        { head: '', cell: ({ source }) => names.get(source.address) ?? '' },
        { head: 'CLIENT', cell: ({ source }) => source.address },
        { head: 'ITS IDENTITY', cell: ({ source }) => shortIdentity(source.identity) },
        { head: 'SERVER IDENTITY', cell: ({ destination }) => shortIdentity(destination.identity) },
        { head: 'SERVICE', cell: ({ service }) => service.split('.')[0] ?? '' },
        { head: 'PATH', cell: describePath },
      ],
      views,
      ({ path }) => (path === 'spliced' ? 'good' : 'neutral'),
    );
  }
}

function outcome(answer: Answer<Ends>): string {
  return answer.ok ? 'answers' : answer.error;
}

function tone(good: boolean): Tone {
  return good ? 'good' : 'bad';
}
