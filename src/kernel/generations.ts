/**
 * Pins of this node under one folder of a bpffs:
 *
 *   podwire/gen-N-ABI/maps/NAME    maps of generation N; ABI is the hash of the shared layout
 *   podwire/gen-N-ABI/conns        iterator over the live sockets of that generation
 *   podwire/gen-N-ABI/hooks/NAME   cgroup links that serve the sockets of that generation to their end
 *   podwire/links/NAME             cgroup links that decide about new connections, updated in place
 *   podwire/pods/COOKIE            sk_lookup link of the pod with that netns cookie, updated in place
 *
 * Live sockets keep the programs and maps they were born with. An agent whose layout is the newest generation's adopts its
 * maps; any other starts the next one and goes on serving the older ones until their last socket is gone.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface Generation {
  readonly number: number;
  readonly abi: string;
  readonly dir: string;
  readonly maps: string;
  readonly conns: string;
  readonly hooks: string;
}

const NAME = /^gen-(\d+)-([0-9a-f]+)$/;

export class Generations {
  readonly root: string;
  readonly links: string;
  readonly pods: string;

  constructor(bpffs: string) {
    this.root = join(bpffs, 'podwire');
    this.links = join(this.root, 'links');
    this.pods = join(this.root, 'pods');
  }

  prepare(): void {
    for (const dir of [this.root, this.links, this.pods]) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
    }
  }

  /** Newest first. */
  list(): Generation[] {
    if (!existsSync(this.root)) return [];
    return readdirSync(this.root)
      .map((name) => NAME.exec(name))
      .filter((match) => match !== null)
      .map((match) => this.#generation(Number(match[1]), match[2] ?? ''))
      .sort((a, b) => b.number - a.number);
  }

  /** Those before `generation`, newest first. */
  olderThan({ number: newest }: Generation): Generation[] {
    return this.list().filter(({ number }) => number < newest);
  }

  /** The generation an agent of this layout works in: the newest when it fits, else a new one. */
  open(abi: string, adopt: boolean): { generation: Generation; adopted: boolean } {
    const newest = this.list()[0];
    if (adopt && newest?.abi === abi && existsSync(newest.maps))
      return { generation: newest, adopted: true };
    const generation = this.#generation((newest?.number ?? 0) + 1, abi);
    mkdirSync(generation.maps, { recursive: true, mode: 0o700 });
    mkdirSync(generation.hooks, { recursive: true, mode: 0o700 });
    return { generation, adopted: false };
  }

  remove(generation: Generation): void {
    rmSync(generation.dir, { recursive: true, force: true });
  }

  #generation(number: number, abi: string): Generation {
    const dir = join(this.root, `gen-${number}-${abi}`);
    const [maps, conns, hooks] = ['maps', 'conns', 'hooks'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    return { number, abi, dir, maps, conns, hooks };
  }
}
