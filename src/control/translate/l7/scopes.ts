/**
 * For which scopes a configuration must be compiled at all.
 *
 * Compiled for a client that no rule names first.  Each namespace that a rule asked about is compiled on its own, and each
 * class of pods where a rule asked for labels.  What does not differ from the wider scope is left out: an agent looks for
 * `<namespace>~<class>`, then `<namespace>`, then `*`.
 */
import { equal } from '../../../model/equal.ts';
import { ANY_CLIENT, Client, type ClientClass } from './client.ts';

export interface Classes {
  /** those in which some rule's labels are found */
  classNamespaces(): Iterable<string>;
  classesOf(namespace: string): Iterable<ClientClass>;
}

/** undefined: nothing is to be sent in that scope; differs from one that is absent, which is as the wider one. */
export function compileScopes<T>(
  classes: Classes,
  compile: (client: Client) => T | undefined,
): Map<string, T | undefined> {
  const results = new Map<string, T | undefined>();
  const anyone = new Client(undefined);
  const general = compile(anyone);
  if (general !== undefined) results.set(ANY_CLIENT, general);
  const namespaces = new Set(anyone.seen.namespaces);
  if (anyone.seen.labels) for (const name of classes.classNamespaces()) namespaces.add(name);
  // The set grows while it is walked: a rule may ask about a second namespace only in the first.
  for (const name of namespaces) {
    const client = new Client(name);
    const own = compile(client);
    for (const other of client.seen.namespaces) namespaces.add(other);
    if (!equal(own, general)) results.set(name, own);
    if (!client.seen.labels) continue;
    for (const ofClass of classes.classesOf(name)) {
      const result = compile(new Client(name, ofClass));
      if (!equal(result, own)) results.set(ofClass.scope, result);
    }
  }
  return results;
}
