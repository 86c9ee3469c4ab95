/**
 * Listeners of interpreters that are older than their flag (or than the agent): the kernel cannot read another process's
 * arguments, so their hashes are put in `argv_hashes` and the listeners are adopted once more.
 */
import { Adopted } from '../../kernel/abi/layout.gen.ts';
import type { BpfMap } from '../../kernel/binding.ts';
import { TypedMap, u32, u64 } from '../../kernel/typed-map.ts';
import type { Processes } from './processes.ts';

export class ListenerAdoption {
  readonly #adopt: () => Uint8Array;
  readonly #hashes: TypedMap<number, bigint>;
  readonly #processes: Pick<Processes, 'argvHash'>;

  constructor(options: {
    /** DataPath.readAdopted() */
    adopt: () => Uint8Array;
    /** the mesh object's map `argv_hashes` */
    argvHashes: BpfMap;
    processes: Pick<Processes, 'argvHash'>;
  }) {
    this.#adopt = options.adopt;
    this.#hashes = new TypedMap('argv_hashes', options.argvHashes, u32, u64);
    this.#processes = options.processes;
  }

  /** Who listens in the enrolled pods, as the kernel knows it from now on. */
  run(): Adopted[] {
    const hashes = new Map<number, bigint>();
    for (const { tgid } of this.#read()) {
      const hash = this.#processes.argvHash(tgid);
      if (hash !== undefined) hashes.set(tgid, hash);
    }
    this.#hashes.setMany([...hashes]);
    try {
      return this.#read();
    } finally {
      this.#hashes.deleteMany([...hashes.keys()]);
    }
  }

  #read(): Adopted[] {
    const bytes = this.#adopt();
    return Array.from({ length: Math.floor(bytes.length / Adopted.size) }, (_, index) =>
      Adopted.decode(bytes, index * Adopted.size),
    );
  }
}
