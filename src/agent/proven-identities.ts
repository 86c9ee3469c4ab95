/**
 * Numbers of identities that peers on other nodes have proven by certificate. The mesh this node was told of need not name
 * them (a node knows what its own pods can reach, not who can reach them), so they have a range of their own: no policy table
 * in the kernel answers for it, and it lasts as long as the agent, whose end ends every tunnel.  While one agent hands over to
 * the next, tunnels of both are there: each begins somewhere else in the range, so that a number of the other is nobody's.
 */
import { randomInt } from 'node:crypto';
import type { PlanState } from '../compile/kernel/plan.ts';
import { keyOf } from '../compile/kernel/number-table.ts';
import type { Log } from '../log.ts';

const RANGE = 0x4000_0000;
/** Each is one service account of the mesh. */
const MAX = 262_144;
const STARTS = RANGE / MAX;

export class ProvenIdentities {
  readonly #state: () => PlanState;
  readonly #log: Log;
  readonly #first = RANGE + randomInt(STARTS) * MAX;
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  constructor(options: { state: () => PlanState; log: Log }) {
    this.#state = options.state;
    this.#log = options.log;
  }

  /** 0: there are too many, which is logged */
  number(spiffe: string): number {
    const known = this.#state().numbers.identities.byKey.get(spiffe) ?? this.#numbers.get(spiffe);
    if (known !== undefined) return known;
    if (this.#names.length >= MAX) {
      this.#log.error({ spiffe, max: MAX }, 'too many identities: a tunnel is refused');
      return 0;
    }
    const number = this.#first + this.#names.length;
    this.#names.push(spiffe);
    this.#numbers.set(spiffe, number);
    return number;
  }

  /** The identity behind any number, undefined for 0 and for what was forgotten. */
  name(number: number): string | undefined {
    if (number >= RANGE) return this.#names[number - this.#first];
    return number === 0 ? undefined : keyOf(this.#state().numbers.identities, number);
  }
}
