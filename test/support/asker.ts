/**
 * Connections by the hundred and how each of them ended: test/c/connects.c in the pods of a mesh.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Mesh, Pod, Spawned } from './netns.ts';
import { cProgram } from './node.ts';
import { parseCounts, type Counts } from './programs.ts';

/** A let in, R refused, X reset without a byte, T nothing came, ? any other error */
export type Outcome = 'A' | 'R' | 'X' | 'T' | '?';

export interface Attempt {
  /** undefined: any */
  readonly from?: string;
  readonly to: string;
  readonly port: number;
}

/** Lets in whoever comes, on every address of the pod. */
export async function serveByte(mesh: Mesh, pod: Pod, ports: readonly number[]): Promise<void> {
  const server = mesh.spawn(cProgram('connects'), ['serve', ...ports.map(String)], { pod });
  await server.waitFor('serving');
}

export class Asker {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** `pod` undefined: in the node's own namespace */
  static async start(mesh: Mesh, pod: Pod | undefined): Promise<Asker> {
    const path = join(mesh.folder, `asker-${pod?.name ?? 'node'}.sock`);
    const asker = mesh.spawn(cProgram('connects'), ['ask', path], pod ? { pod } : {});
    await asker.waitFor('ready');
    return new Asker(path);
  }

  /** One after the other. */
  ask(attempts: readonly Attempt[]): Promise<Outcome[]> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      let text = '';
      socket.setEncoding('utf8').on('data', (part: string) => (text += part));
      socket.once('error', reject);
      socket.once('end', () => {
        if (text.length === attempts.length) resolve([...text] as Outcome[]);
        else reject(new Error(`${attempts.length} asked, answered: ${text}`));
      });
      socket.end(attempts.map(({ from, to, port }) => `${from ?? '-'} ${to} ${port}\n`).join(''));
    });
  }

  async one(to: string, port: number, from?: string): Promise<Outcome> {
    const [outcome] = await this.ask([from === undefined ? { to, port } : { from, to, port }]);
    return outcome!;
  }
}

/** Connects as fast as it can until it is stopped. */
export class Racer {
  readonly #process: Spawned;

  private constructor(process: Spawned) {
    this.#process = process;
  }

  static async start(mesh: Mesh, pod: Pod, to: string, port: number): Promise<Racer> {
    const racer = mesh.spawn(cProgram('connects'), ['race', to, String(port)], { pod });
    await racer.waitFor('racing');
    return new Racer(racer);
  }

  async stop(): Promise<Counts> {
    const { stdout } = await this.#process.stop();
    return parseCounts(stdout);
  }
}
