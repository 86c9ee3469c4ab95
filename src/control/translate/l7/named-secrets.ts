/**
 * The Secrets that something in force names: of all that a cluster has, control reads these and no others.
 */
const KEY = 'Secret ';

export class NamedSecrets {
  readonly #names = new Set<string>();
  /** another number: the names are others */
  version = 0;

  /** "namespace/name" */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** `key`: of a Catalog */
  note(key: string, isRead: boolean): void {
    if (!key.startsWith(KEY)) return;
    const name = key.slice(KEY.length);
    if (isRead) this.#names.add(name);
    else this.#names.delete(name);
    this.version++;
  }
}
