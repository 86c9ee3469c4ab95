/**
 * Who asks: a namespace and what of a pod's labels can make a difference.
 *
 * The same configuration serves all clients until one of its rules looks at the client.  A Client notes what was looked
 * at, so that the scopes that can differ are found by compiling for anybody first: see scopes.ts.
 */
import type { Labels } from '../../../model/resource/spec.ts';
import type { Locality } from '../../../model/load-assignment.ts';

/** Pods of one namespace that no rule of the mesh tells apart. */
export interface ClientClass {
  /** "<namespace>~<hash>" */
  readonly scope: string;
  readonly namespace: string;
  readonly labels: ReadonlyMap<string, string>;
  /** undefined: not known, or no rule asks for it */
  readonly locality: Locality | undefined;
}

export const ANY_CLIENT = '*';

/** What was asked about a client. */
export class Seen {
  readonly namespaces = new Set<string>();
  labels = false;

  add(other: Seen): void {
    for (const namespace of other.namespaces) this.namespaces.add(namespace);
    this.labels ||= other.labels;
  }
}

export class Client {
  /** undefined: one that no rule names */
  readonly #namespace: string | undefined;
  readonly #class: ClientClass | undefined;
  /** Sidecars are not about it */
  readonly isGateway: boolean;
  readonly seen = new Seen();

  constructor(namespace: string | undefined, ofClass?: ClientClass, isGateway = false) {
    this.#namespace = namespace;
    this.#class = ofClass;
    this.isGateway = isGateway;
  }

  static gateway(namespace: string): Client {
    return new Client(namespace, undefined, true);
  }

  get scope(): string {
    return this.#class?.scope ?? this.#namespace ?? ANY_CLIENT;
  }

  /** "": one that no rule names */
  get namespace(): string {
    return this.#namespace ?? '';
  }

  get hasClass(): boolean {
    return this.#class !== undefined;
  }

  isIn(namespace: string): boolean {
    this.seen.namespaces.add(namespace);
    return this.#namespace === namespace;
  }

  /** Also true when there is nothing to match. */
  hasLabels(labels: Labels | undefined): boolean {
    const wanted = Object.entries(labels ?? {});
    if (wanted.length === 0) return true;
    this.seen.labels = true;
    return wanted.every(([name, value]) => this.#class?.labels.get(name) === value);
  }

  label(name: string): string | undefined {
    this.seen.labels = true;
    return this.#class?.labels.get(name);
  }

  /** What follows depends on its class, without a question now. */
  noteLabels(): void {
    this.seen.labels = true;
  }

  get locality(): Locality | undefined {
    this.seen.labels = true;
    return this.#class?.locality;
  }

  /** Runs with a client that is the same and whose notes are its own; they are this one's too afterwards. */
  probe<T>(run: (client: Client) => T): { readonly value: T; readonly seen: Seen } {
    const client = new Client(this.#namespace, this.#class, this.isGateway);
    const value = run(client);
    this.seen.add(client.seen);
    return { value, seen: client.seen };
  }

  /** Somebody whom no rule names. */
  anyone(): Client {
    return new Client(undefined, undefined, this.isGateway);
  }

  /** The same without its class: any pod of its namespace. */
  withoutClass(): Client {
    return new Client(this.#namespace, undefined, this.isGateway);
  }
}
