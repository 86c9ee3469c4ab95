/**
 * Join tokens and the nodes that joined by them, in control's state folder: one small file each, so that `podwire token` and
 * several controls can work on it at once.
 *
 *   tokens/<id>.json     made by `podwire token create`, removed by `revoke` or after it has expired
 *   redeemed/<id>.json   made by the first request with the token: the hash of the key it was for
 *   nodes/<name>.json    the node, and the token its certificates go back to (its enrolment)
 *
 * A token is spent by the first key that comes with it.  The same key may come again until the token expires, so that an
 * answer that was lost locks nobody out; whoever stole the token has not the key.  Joining again ends what the node had
 * before: its certificates name the enrolment they go back to.
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PodwireError } from '../../errors.ts';
import { parseJoinToken } from '../../model/join-token-text.ts';
import { createPrivateFile, openPrivateFolder, replacePrivateFile } from '../../private-file.ts';
import { isName, type ServiceAccountName } from './access-rules.ts';
import { AuthenticationError } from './caller.ts';
import { isSecretOf, type JoinToken, newJoinToken } from './join-token.ts';
import type { NodeName, WorkloadDirectory } from './workload-directory.ts';

export interface JoinedNode {
  readonly name: string;
  readonly identities: readonly ServiceAccountName[];
  /** id of the token it joined by */
  readonly enrolment: string;
  /** ms since 1970 */
  readonly enrolledAt: number;
}

export interface NewTokenOptions {
  readonly name: string;
  readonly identities: readonly ServiceAccountName[];
  readonly ttlMs: number;
}

interface Redemption {
  readonly key: string;
  readonly redeemedAt: number;
}

export const DEFAULT_TOKEN_TTL_MS = 3_600_000;
const ID = /^[0-9a-f]{16}$/;

export class JoinRegistry implements WorkloadDirectory {
  readonly #tokens: string;
  readonly #redeemed: string;
  readonly #nodes: string;
  readonly #now: () => number;

  private constructor(folder: string, now: () => number) {
    this.#tokens = join(folder, 'tokens');
    this.#redeemed = join(folder, 'redeemed');
    this.#nodes = join(folder, 'nodes');
    this.#now = now;
  }

  /** Makes the folder, 0700. Throws PodwireError when others can use it. */
  static async open(folder: string, now: () => number = Date.now): Promise<JoinRegistry> {
    const registry = new JoinRegistry(folder, now);
    await openPrivateFolder(folder);
    for (const below of [registry.#tokens, registry.#redeemed, registry.#nodes]) {
      await openPrivateFolder(below);
    }
    return registry;
  }

  /** The token's text, which is nowhere else. Throws PodwireError. */
  async create({ name, identities, ttlMs }: NewTokenOptions): Promise<string> {
    for (const text of [
      name,
      ...identities.flatMap((account) => [account.namespace, account.serviceAccount]),
    ]) {
      if (!isName(text)) throw new PodwireError('ERR_BAD_OPTION', `'${text}' is no name`);
    }
    await this.#removeExpired();
    const { id, hash, text } = newJoinToken();
    const createdAt = this.#now();
    const token = { id, name, identities, hash, createdAt, expiresAt: createdAt + ttlMs };
    await replacePrivateFile(this.#tokenPath(id), format<JoinToken>(token));
    return text;
  }

  /** Throws AuthenticationError. */
  async verify(text: string): Promise<JoinToken> {
    const { id, secret } = parseJoinToken(text) ?? { id: '', secret: '' };
    const token = ID.test(id) ? await read<JoinToken>(this.#tokenPath(id)) : undefined;
    if (!token) throw new AuthenticationError('join token: malformed, unknown or revoked');
    if (!isSecretOf(token, secret)) {
      throw new AuthenticationError(`join token ${id}: the secret is wrong`);
    }
    if (this.#now() >= token.expiresAt) {
      throw new AuthenticationError(`join token ${id} of node ${token.name} has expired`);
    }
    return token;
  }

  /** Spends the token for a key (hash of its encoding). Throws AuthenticationError. */
  async redeem(id: string, key: string): Promise<JoinedNode> {
    const token = ID.test(id) ? await read<JoinToken>(this.#tokenPath(id)) : undefined;
    if (!token) throw new AuthenticationError('join token: unknown or revoked');
    const path = join(this.#redeemed, `${id}.json`);
    const { name, identities } = token;
    const fresh: Redemption = { key, redeemedAt: this.#now() };
    const isFirst = await createPrivateFile(path, format(fresh));
    const { key: spentFor, redeemedAt } = isFirst ? fresh : await readOrThrow<Redemption>(path);
    if (spentFor !== key) {
      throw new AuthenticationError(
        `join token ${id} of node ${name} was used before, with another key: it is stolen, or was used twice`,
      );
    }
    const known = await this.node(name);
    if (known?.enrolment === id) return known;
    if (known && known.enrolledAt >= redeemedAt && !isFirst) {
      throw new AuthenticationError(`join token ${id}: node ${name} has joined anew since`);
    }
    const node = { name, identities, enrolment: id, enrolledAt: redeemedAt };
    await replacePrivateFile(this.#nodePath(name), format<JoinedNode>(node));
    return node;
  }

  async node(name: string): Promise<JoinedNode | undefined> {
    return isName(name) ? read<JoinedNode>(this.#nodePath(name)) : undefined;
  }

  hasIdentity({ cluster, node }: NodeName, namespace: string, serviceAccount: string): boolean {
    // nodes of clusters that join tokens know nothing of
    if (cluster !== undefined || !isName(node)) return false;
    try {
      const { identities } = JSON.parse(readFileSync(this.#nodePath(node), 'utf8')) as JoinedNode;
      return identities.some(
        (account) => account.namespace === namespace && account.serviceAccount === serviceAccount,
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  /** Tokens that can still be used, oldest first. */
  async tokens(): Promise<readonly JoinToken[]> {
    const tokens = await readAll<JoinToken>(this.#tokens);
    const live = tokens.filter(({ expiresAt }) => this.#now() < expiresAt);
    return live.toSorted((a, b) => a.createdAt - b.createdAt);
  }

  async nodes(): Promise<readonly JoinedNode[]> {
    const nodes = await readAll<JoinedNode>(this.#nodes);
    return nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Ends a node's tokens and certificates; how many of both there were. */
  async revoke(name: string): Promise<number> {
    const tokens = (await readAll<JoinToken>(this.#tokens)).filter((token) => token.name === name);
    for (const { id } of tokens) await rm(this.#tokenPath(id), { force: true });
    const node = await this.node(name);
    if (node) await rm(this.#nodePath(name), { force: true });
    return tokens.length + (node ? 1 : 0);
  }

  /** A redemption is remembered as long as its token could be used. */
  async #removeExpired(): Promise<void> {
    for (const { id, expiresAt } of await readAll<JoinToken>(this.#tokens)) {
      if (this.#now() < expiresAt) continue;
      await rm(this.#tokenPath(id), { force: true });
      await rm(join(this.#redeemed, `${id}.json`), { force: true });
    }
  }

  #tokenPath(id: string): string {
    return join(this.#tokens, `${id}.json`);
  }

  #nodePath(name: string): string {
    return join(this.#nodes, `${name}.json`);
  }
}

function format<T>(value: T): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

async function readOrThrow<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(path, 'utf8')) as T;
}

/** undefined: there is no such file */
async function read<T>(path: string): Promise<T | undefined> {
  try {
    return await readOrThrow<T>(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readAll<T>(folder: string): Promise<T[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const values = await Promise.all(
    names.filter((name) => !name.startsWith('.')).map((name) => read<T>(join(folder, name))),
  );
  return values.filter((value) => value !== undefined) as T[];
}
