/** Ends TCP sockets by cookie with a reset on both sides: stalled readers, and connections that policy revoked. */
import { AbiLimits } from '../../kernel/abi/layout.gen.ts';
import type { DetectPrograms } from './detect-programs.ts';

/** As many as the map has room for: each batch is a search through all sockets of the node. */
const MAX_BATCH = AbiLimits.MAX_CONNS;

export interface Sockets {
  readonly cookies: readonly bigint[];
  readonly netnsPaths: readonly string[];
}

export class Killer {
  readonly #programs: Pick<DetectPrograms, 'destroy'>;
  #killed = 0;

  constructor(options: { programs: Pick<DetectPrograms, 'destroy'> }) {
    this.#programs = options.programs;
  }

  /** sockets ended so far */
  get killed(): number {
    return this.#killed;
  }

  /** Looks for the cookies in each namespace; returns how many sockets were ended. */
  killSockets(wanted: Sockets): number {
    return this.end(wanted).length;
  }

  /** The same; returns which. */
  end({ cookies, netnsPaths }: Sockets): bigint[] {
    const ended: bigint[] = [];
    for (let from = 0; from < cookies.length; from += MAX_BATCH) {
      const batch = this.#programs.destroy(cookies.slice(from, from + MAX_BATCH), netnsPaths);
      for (const cookie of batch) ended.push(cookie);
    }
    this.#killed += ended.length;
    return ended;
  }
}
