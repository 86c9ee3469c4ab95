/**
 * Units of configuration, and which change makes which of them stale.
 *
 * A unit's product is a pure function of what it reads.  Every read leaves the key of what was read, touching a key makes
 * its readers stale, and flush() compiles these again, and no others.  A product may need further units (a route its
 * clusters, a cluster its endpoints): they live as long as somebody needs them.
 */
import { formatFinding, type Finding } from '../../../model/finding.ts';
import type { ApiVerdict } from './gateway-api/verdict.ts';
import type { Message } from './message.ts';

export interface Product {
  readonly messages: readonly Message[];
  /** by name; what a unit compiles to follows from its name and what it reads */
  readonly needs: ReadonlyMap<string, Compile>;
  readonly findings: readonly Finding[];
  /** of a unit that stands for a resource of the Gateway API */
  readonly verdict?: ApiVerdict;
}

export type Compile = () => Product;

export const EMPTY_PRODUCT: Product = { messages: [], needs: new Map(), findings: [] };

interface Unit {
  readonly compile: Compile;
  reads: ReadonlySet<string>;
  product: Product;
  /** how many need it; a root needs itself */
  users: number;
}

export interface MessageSink {
  put(message: Message): void;
  remove(message: Message): void;
}

export class Graph {
  readonly #onReader: (key: string, isRead: boolean) => void;
  readonly #units = new Map<string, Unit>();
  readonly #readers = new Map<string, Set<string>>();
  readonly #stale = new Set<string>();
  /** by message id: what is in force, and the unit it is of */
  readonly #live = new Map<string, { readonly unit: string; readonly message: Message }>();
  /** messages of units that went or changed since the last flush, by id */
  readonly #touched = new Map<string, Message>();
  #reading: Set<string> | undefined;
  /** how many units were compiled, ever */
  compiled = 0;

  /** `onReader`: a key has its first reader, or has lost its last */
  constructor(onReader: (key: string, isRead: boolean) => void = () => {}) {
    this.#onReader = onReader;
  }

  addRoot(name: string, compile: Compile): void {
    this.#use(name, compile);
  }

  removeRoot(name: string): void {
    this.#release(name);
  }

  /** To be called for whatever a unit's product depends on. */
  read(key: string): void {
    this.#reading?.add(key);
  }

  touch(key: string): void {
    for (const name of this.#readers.get(key) ?? []) this.#stale.add(name);
  }

  flush(sink: MessageSink): void {
    // The set grows while it is walked: units that are needed for the first time.
    for (const name of this.#stale) {
      const unit = this.#units.get(name);
      this.#stale.delete(name);
      if (unit !== undefined) this.#compile(name, unit);
    }
    for (const [id, message] of this.#touched) {
      const live = this.#live.get(id);
      if (live === undefined) sink.remove(message);
      else sink.put(live.message);
    }
    this.#touched.clear();
  }

  verdicts(): ApiVerdict[] {
    return [...this.#units.values()].flatMap(({ product }) => product.verdict ?? []);
  }

  /** Each once: a resource is part of many units. */
  findings(): Finding[] {
    const found = new Map<string, Finding>();
    for (const { product } of this.#units.values()) {
      for (const finding of product.findings) found.set(formatFinding(finding), finding);
    }
    return [...found.values()];
  }

  #compile(name: string, unit: Unit): void {
    const { product: before } = unit;
    const outer = this.#reading;
    const reads = new Set<string>();
    this.#reading = reads;
    this.compiled++;
    try {
      unit.product = unit.compile();
    } finally {
      this.#reading = outer;
    }
    this.#setReads(name, unit, reads);
    for (const [need, compile] of unit.product.needs) this.#use(need, compile);
    for (const need of before.needs.keys()) this.#release(need);
    this.#withdraw(name, before);
    for (const message of unit.product.messages) {
      this.#touched.set(message.id, message);
      this.#live.set(message.id, { unit: name, message });
    }
  }

  #use(name: string, compile: Compile): void {
    const unit = this.#units.get(name);
    if (unit !== undefined) {
      unit.users++;
      return;
    }
    this.#units.set(name, { compile, reads: new Set(), product: EMPTY_PRODUCT, users: 1 });
    this.#stale.add(name);
  }

  #release(name: string): void {
    const unit = this.#units.get(name);
    if (unit === undefined || --unit.users > 0) return;
    this.#units.delete(name);
    this.#setReads(name, unit, new Set());
    this.#withdraw(name, unit.product);
    for (const need of unit.product.needs.keys()) this.#release(need);
  }

  #withdraw(name: string, { messages }: Product): void {
    for (const message of messages) {
      this.#touched.set(message.id, message);
      if (this.#live.get(message.id)?.unit === name) this.#live.delete(message.id);
    }
  }

  #setReads(name: string, unit: Unit, reads: ReadonlySet<string>): void {
    for (const key of unit.reads) {
      if (reads.has(key)) continue;
      const readers = this.#readers.get(key);
      readers?.delete(name);
      if (readers?.size !== 0) continue;
      this.#readers.delete(key);
      this.#onReader(key, false);
    }
    for (const key of reads) {
      const readers = this.#readers.get(key);
      if (readers !== undefined) {
        readers.add(name);
        continue;
      }
      this.#readers.set(key, new Set([name]));
      this.#onReader(key, true);
    }
    unit.reads = reads;
  }
}
