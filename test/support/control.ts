/**
 * `podwire control` as a process of its own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { repositoryRoot } from './repository.ts';
import { until } from './xds-server.ts';

interface Line {
  readonly msg?: string;
  readonly address?: string;
}

export class ControlUnderTest {
  readonly lines: Line[] = [];
  readonly #process: ChildProcess;
  /** of the admin API */
  readonly socket: string;
  #rest = '';
  #text = '';

  constructor(process: ChildProcess, socket: string) {
    this.#process = process;
    this.socket = socket;
    process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  get log(): string {
    return this.#text;
  }

  get exitCode(): number | null {
    return this.#process.exitCode;
  }

  /** "HOST:PORT" of the gRPC port; waits for it. */
  async address(): Promise<string> {
    const serves = (): Line | undefined => this.lines.find(({ msg }) => msg === 'control serves');
    await until(
      `control serves: ${this.#text}`,
      () => serves() !== undefined || this.#process.exitCode !== null,
      60_000,
    );
    const address = serves()?.address;
    if (address === undefined) throw new Error(`control ended: ${this.#text}`);
    return address;
  }

  get<T>(path: string): Promise<T> {
    return this.ask('GET', path);
  }

  async ask<T>(method: 'GET' | 'POST', path: string): Promise<T> {
    const asked = request({ method, socketPath: this.socket, path, agent: false });
    asked.end();
    const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer>];
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part);
    return JSON.parse(Buffer.concat(parts).toString()) as T;
  }

  terminate(): void {
    this.#process.kill('SIGTERM');
  }

  async exited(): Promise<number | null> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await once(this.#process, 'exit');
    }
    return this.#process.exitCode;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exited();
  }

  #read(text: string): void {
    this.#text += text;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Line);
  }
}

/** On a free port of loopback; ends with the test. */
export function startControl(
  t: TestContext,
  folder: string,
  args: readonly string[],
): ControlUnderTest {
  const socket = join(folder, `control-${Math.random().toString(36).slice(2, 8)}.sock`);
  const program = join(repositoryRoot(), 'dist', 'src', 'main.js');
  const listen = ['--listen', '127.0.0.1:0', '--metrics', '127.0.0.1:0', '--admin', socket];
  const child = spawn(process.execPath, [program, 'control', ...listen, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const control = new ControlUnderTest(child, socket);
  t.after(() => control.kill());
  return control;
}
