/**
 * A foreign xDS server: test/apps/control-plane (Envoy's go-control-plane), started with nothing and told what to serve.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createCodec } from '../../src/xds/codec.ts';
import type { MeshResources, ResourceKey, ResourceType } from '../../src/xds/resource-types.ts';
import { RESOURCE_TYPES } from '../../src/xds/resource-types.ts';
import { command, findProgram } from './node.ts';
import { repositoryRoot } from './repository.ts';

export type Served = { readonly [K in ResourceKey]?: readonly MeshResources[K][] };

export interface SeenRequest {
  /** type URL */
  readonly type: string;
  readonly nonce: string;
  /** of a NACK, "" */
  readonly error: string;
  readonly names: readonly string[] | null;
  readonly versions: Readonly<Record<string, string>> | null;
  readonly node?: { readonly id: string; readonly metadata: Readonly<Record<string, unknown>> };
}

const codec = createCodec();

/** Built when it is not there or older than its source; setup.sh does the same before all tests. */
export function controlPlaneProgram(): string {
  const source = join(repositoryRoot(), 'test/apps/control-plane');
  const output = join(repositoryRoot(), 'test/apps/.output/control-plane');
  const newest = Math.max(
    ...readdirSync(source).map((file) => statSync(join(source, file)).mtimeMs),
  );
  if (!existsSync(output) || statSync(output).mtimeMs < newest) {
    mkdirSync(join(repositoryRoot(), 'test/apps/.output'), { recursive: true });
    const go = findProgram('go') ?? 'go';
    command(go, ['build', '-C', source, '-buildvcs=false', '-o', output, '.']);
  }
  return output;
}

export class ControlPlane {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #control: number;
  readonly #exited: Promise<unknown>;

  private constructor(process: ChildProcess, ports: { xds: number; control: number }) {
    this.#process = process;
    this.port = ports.xds;
    this.#control = ports.control;
    this.#exited = once(process, 'exit');
  }

  static async start(args: readonly string[] = []): Promise<ControlPlane> {
    const child = spawn(controlPlaneProgram(), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      return new ControlPlane(child, JSON.parse(line) as { xds: number; control: number });
    }
    throw new Error('the control plane ended before it began');
  }

  /** The types that are named get exactly these. */
  async serve(served: Served): Promise<void> {
    const body: Record<string, Record<string, string>> = {};
    for (const [key, resources] of Object.entries(served) as [ResourceKey, readonly never[]][]) {
      const type = RESOURCE_TYPES[key] as ResourceType;
      body[type.typeUrl] = Object.fromEntries(
        resources.map((one) => [
          type.nameOf(one),
          Buffer.from(type.encode(codec, one)).toString('base64'),
        ]),
      );
    }
    await this.serveBytes(body);
  }

  /** type URL → name → base64 */
  async serveBytes(
    body: Readonly<Record<string, Readonly<Record<string, string>>>>,
  ): Promise<void> {
    await this.#ask('PUT', '/resources', JSON.stringify(body));
  }

  async requests(): Promise<readonly SeenRequest[]> {
    return (JSON.parse(await this.#ask('GET', '/requests')) as SeenRequest[] | null) ?? [];
  }

  async endStreams(): Promise<void> {
    await this.#ask('POST', '/streams/end');
  }

  /** It hangs: its connections stay, and nobody answers on them; false: it goes on. */
  freeze(frozen: boolean): void {
    this.#process.kill(frozen ? 'SIGSTOP' : 'SIGCONT');
  }

  /** At once, as a crash would. */
  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await this.#exited;
    }
  }

  async #ask(method: string, path: string, body?: string): Promise<string> {
    const url = `http://127.0.0.1:${this.#control}${path}`;
    const response = await fetch(url, body === undefined ? { method } : { method, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  }
}
