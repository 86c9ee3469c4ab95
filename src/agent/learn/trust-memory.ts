/**
 * Which file is behind a key of the trust map, and through it the store: the kernel knows inodes, the store what
 * survives them.  Kept for decided keys too, so that a later denial is remembered.
 */
import type { Executable } from './executable.ts';
import type { LearnPod } from './learn-pod.ts';
import { keyText } from './trust-map.ts';
import type { Remembered, TrustStore, TrustSubject } from './trust-store.ts';
import type { TrustKey } from '../../kernel/abi/layout.gen.ts';

export class TrustMemory {
  readonly #store: TrustStore;
  readonly #pods: () => Iterable<LearnPod>;
  readonly #executables = new Map<string, Executable>();
  /** arguments of interpreters' programs */
  readonly #argv = new Map<string, string>();

  constructor(options: { store: TrustStore; pods: () => Iterable<LearnPod> }) {
    this.#store = options.store;
    this.#pods = options.pods;
  }

  know(key: TrustKey, { executable, argv }: { executable: Executable; argv: string }): void {
    this.#executables.set(keyText(key), executable);
    if (argv !== '') this.#argv.set(keyText(key), argv);
  }

  /** Forgets the files of keys that the kernel's map no longer has. */
  retain(keys: { has(text: string): boolean }): void {
    for (const text of this.#executables.keys()) {
      if (keys.has(text)) continue;
      this.#executables.delete(text);
      this.#argv.delete(text);
    }
  }

  recall(key: TrustKey): Remembered | undefined {
    const subject = this.#subject(key);
    return subject && this.#store.recall(subject);
  }

  remember(key: TrustKey, decision: Remembered): void {
    const subject = this.#subject(key);
    if (subject !== undefined) this.#store.remember(subject, decision);
  }

  flush(): void {
    this.#store.flush();
  }

  /** For logs. */
  names(key: TrustKey): { executable: string; workload: string } {
    return {
      executable: this.#executables.get(keyText(key))?.path ?? `inode ${key.inode}`,
      workload: this.#workload(key.workload) ?? `number ${key.workload}`,
    };
  }

  /** Arguments may hold secrets: for the admin socket, which is root's, and for no log. */
  argv(key: TrustKey): string {
    return this.#argv.get(keyText(key)) ?? '';
  }

  #subject(key: TrustKey): TrustSubject | undefined {
    const executable = this.#executables.get(keyText(key));
    const workload = this.#workload(key.workload);
    if (executable === undefined || workload === undefined) return undefined;
    return { workload, path: executable.path, fingerprint: executable.fingerprint, argv: key.argv };
  }

  #workload(number: number): string | undefined {
    for (const pod of this.#pods()) if (pod.workload === number) return pod.workloadText;
    return undefined;
  }
}
