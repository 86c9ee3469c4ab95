/**
 * A process in a pod whose sockets a test drives one call at a time (test/apps/puppet.py): who connects where, what both
 * ends see, how and when a connection ends. It enters the mesh's cgroup and the pod's namespace like any application.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Mesh, Pod, Spawned } from './netns.ts';
import { findProgram } from './node.ts';
import { appFile } from './programs.ts';

/** What an operation answers; which fields are there depends on the operation. */
export interface Answer {
  /** name of the errno, when it failed */
  readonly error?: string;
  readonly id?: number;
  readonly ms?: number;
  /** "ADDRESS:PORT" as getpeername and getsockname say */
  readonly peer?: string;
  readonly own?: string;
  readonly text?: string;
  readonly sent?: number;
  readonly received?: number;
  readonly digest?: string;
  readonly end?: 'reset' | 'eof' | 'none';
  /** CLOCK_MONOTONIC, seconds */
  readonly at?: number;
  readonly counts?: Readonly<Record<string, number>>;
  readonly slowestMs?: number;
  readonly ids?: readonly number[];
  readonly list?: readonly Accepted[];
}

export interface Accepted {
  readonly id: number;
  /** what accept() said */
  readonly from: string;
  readonly peer: string;
  readonly own: string;
  /** of listening_ports */
  readonly family: number;
  readonly port: number;
}

type Value = string | number | boolean;

export interface ConnectOptions {
  /** 6: an AF_INET6 socket, also for a mapped address */
  readonly family?: 6;
  readonly mark?: number;
  readonly bind?: string;
  readonly bindPort?: number;
  readonly timeout?: number;
}

export interface ListenOptions {
  /** echo; name: send the name and wait for the end; swap: send a payload, read the peer's; hold: never touch it */
  readonly mode?: 'echo' | 'name' | 'swap' | 'hold';
  readonly name?: string;
  readonly size?: number;
  readonly family?: 6;
  readonly reuseport?: boolean;
}

export class Puppet {
  readonly pod: Pod | undefined;
  readonly process: Spawned;
  readonly #path: string;

  constructor(pod: Pod | undefined, process: Spawned, path: string) {
    this.pod = pod;
    this.process = process;
    this.#path = path;
  }

  do(operation: string, values: Readonly<Record<string, Value | undefined>> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      let text = '';
      socket.setEncoding('utf8').on('data', (part: string) => (text += part));
      socket.once('error', reject);
      socket.once('end', () => {
        if (text.endsWith('\n')) resolve(JSON.parse(text) as Answer);
        else reject(new Error(`puppet: ${operation} failed: ${this.process.output()}`));
      });
      socket.write(`${JSON.stringify({ do: operation, ...values })}\n`);
    });
  }

  /** The id of the listener. */
  async listen(addr: string, port: number, options: ListenOptions = {}): Promise<number> {
    return idOf(await this.do('listen', { addr, port, ...options }));
  }

  connect(addr: string, port: number, options: ConnectOptions = {}): Promise<Answer> {
    return this.do('connect', { addr, port, ...options });
  }

  /** A connection that must succeed. */
  async open(addr: string, port: number, options: ConnectOptions = {}): Promise<number> {
    return idOf(await this.connect(addr, port, options));
  }

  async dial(
    addr: string,
    port: number,
    count: number,
    family?: 6,
  ): Promise<Readonly<Record<string, number>>> {
    const { counts } = await this.do('dial', { addr, port, count, family });
    return counts ?? {};
  }

  async accepted(listener: number): Promise<readonly Accepted[]> {
    return (await this.do('accepted', { id: listener })).list ?? [];
  }

  /** Whether a text comes back over the connection. */
  async echoes(id: number): Promise<boolean> {
    return (await this.do('say', { id, text: 'are you there?' })).text === 'are you there?';
  }

  async close(id: number, reset = false): Promise<void> {
    await this.do('close', { id, reset });
  }
}

export function idOf(answer: Answer): number {
  assert.ok(answer.id !== undefined, JSON.stringify(answer));
  return answer.id;
}

/** `pod` undefined: in the mesh's cgroup, but in the node's own network namespace. */
export async function startPuppet(
  mesh: Mesh,
  pod: Pod | undefined,
  name = pod?.name,
): Promise<Puppet> {
  const path = join(mesh.folder, `puppet-${name ?? 'node'}.sock`);
  const python = findProgram('python3') ?? 'python3';
  const process = mesh.spawn(python, [appFile('puppet.py'), path], pod ? { pod } : {});
  await process.waitFor('ready');
  return new Puppet(pod, process, path);
}

/** Repeats until `probe` gives something; its last answer is in the error. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | false | undefined> | T | false | undefined,
  timeoutMs = 5000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
