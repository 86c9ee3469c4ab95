/**
 * The membership of a machine outside Kubernetes: bought with a join token, kept in the state folder, renewed by itself.
 *
 *   no certificate ──(join token)──► held ──(half of its life)──► renewed, and so on
 *        ▲                             │ refused by control (revoked, joined anew), or ended
 *        └──── waits for a new token ◄─┘
 *
 * Nothing here ends the agent: without a certificate it goes on with what was last good, says what is wrong, and looks
 * for a new token in the token file every minute.
 */
import type { KeyObject } from 'node:crypto';
import { Backoff } from '../lifecycle/backoff.ts';
import type { Log } from '../log.ts';
import { parseJoinToken, type JoinTokenText } from '../model/join-token-text.ts';
import { readPrivateFile } from '../private-file.ts';
import type { CertificateQuestion } from '../xds/client/certificate-client.ts';
import { CertificateRefusedError } from '../xds/client/certificate-refused-error.ts';
import type { ClientCredential, KeyAndChain } from '../xds/client/client-tls.ts';
import { createCsr, newP256Key } from './csr.ts';
import {
  checkedRoots,
  heldCredential,
  NodeCredentialFile,
  type HeldCredential,
} from './node-credential-file.ts';
import type { NodeCredentialStatus } from './node-credential-status.ts';

export interface NodeCredentialOptions {
  /** the agent's state folder */
  readonly folder: string;
  /** undefined: an earlier run has joined */
  readonly tokenFile: string | undefined;
  readonly ask: (question: CertificateQuestion) => Promise<readonly string[]>;
  /** there is a certificate, or another one: connections are to use it */
  readonly onChange: () => void;
  readonly log: Log;
  /** of certificates; 0: as long as control allows */
  readonly lifeSeconds?: number;
}

const FIRST_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;
/** timers are no longer than this: the wall clock may be set meanwhile */
const MAX_WAIT_MS = 3_600_000;

export class NodeCredential implements ClientCredential {
  readonly #options: NodeCredentialOptions;
  readonly #file: NodeCredentialFile;
  readonly #backoff = new Backoff({ firstMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS });
  #held: HeldCredential | undefined;
  /** PEM, "" before the first */
  #roots = '';
  #renewAt = 0;
  #renewals = 0;
  /** a server said no to the certificate, and none has taken it since */
  #refused = false;
  #fileError = '';
  #error = '';
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #closed = false;

  private constructor(options: NodeCredentialOptions, file: NodeCredentialFile) {
    this.#options = options;
    this.#file = file;
  }

  /** undefined: this machine has not joined and is not told to. */
  static async open(options: NodeCredentialOptions): Promise<NodeCredential | undefined> {
    const file = new NodeCredentialFile(options.folder);
    const credential = new NodeCredential(options, file);
    try {
      const held = await file.load();
      if (held === undefined && options.tokenFile === undefined) return undefined;
      if (held !== undefined) credential.#hold(held, held.validFrom);
    } catch (error) {
      credential.#fileError = (error as Error).message;
    }
    try {
      credential.#roots = await file.loadRoots();
    } catch (err) {
      options.log.warn({ err }, "control's roots of earlier are not used");
    }
    return credential;
  }

  /** Resolves after the first attempt, whatever came of it. */
  async start(): Promise<void> {
    await this.#begin(true);
  }

  current(): KeyAndChain {
    const held = this.#held;
    if (held === undefined || this.#hasEnded(held)) {
      throw new Error(this.#error || 'this node has not joined yet');
    }
    return held;
  }

  roots(): string {
    return this.#roots;
  }

  answered(accepted: boolean): void {
    if (this.#refused === !accepted) return;
    this.#refused = !accepted;
    if (accepted) this.#error = '';
    void this.#begin(false);
  }

  status(): NodeCredentialStatus {
    const held = this.#held;
    return {
      name: held?.node ?? '',
      expires: held === undefined ? '' : new Date(held.expiresAt).toISOString(),
      renews: held === undefined ? '' : new Date(this.#renewAt).toISOString(),
      renewals: this.#renewals,
      error: this.#error,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#turn;
  }

  #begin(first: boolean): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#turn ??= this.#takeTurn(first).finally(() => (this.#turn = undefined));
    return this.#turn;
  }

  async #takeTurn(first: boolean): Promise<void> {
    clearTimeout(this.#timer);
    let waitMs: number;
    try {
      await this.#advance(first);
      this.#error = '';
      // refused meanwhile: the next turn says so, and looks for a token
      if (!this.#refused) this.#backoff.reset();
      waitMs = this.#refused ? this.#backoff.nextMs() : this.#renewAt - Date.now();
    } catch (error) {
      this.#fail(error as Error);
      waitMs = this.#backoff.nextMs();
    }
    if (this.#closed) return;
    const delayMs = Math.max(0, Math.min(waitMs, MAX_WAIT_MS));
    this.#timer = setTimeout(() => void this.#begin(false), delayMs);
  }

  /** Throws an Error for the operator. */
  async #advance(first: boolean): Promise<void> {
    const held = this.#held;
    const good = held !== undefined && !this.#refused && !this.#hasEnded(held);
    if (!good || first) {
      const token = await this.#newToken(good);
      if (token !== undefined) return this.#join(token);
    }
    if (held === undefined) throw new Error(`${this.#fileError}: ${this.#fix()}`);
    if (this.#hasEnded(held)) {
      const when = new Date(held.expiresAt).toISOString();
      throw new Error(`the certificate of node ${held.node} ended ${when}: ${this.#fix()}`);
    }
    // also when it was refused: one server of several may be wrong
    if (Date.now() >= this.#renewAt) await this.#renew(held);
    if (this.#refused) throw this.#refusal(held);
  }

  /** undefined: there is none but the one it joined by. */
  async #newToken(optional: boolean): Promise<(JoinTokenText & { text: string }) | undefined> {
    const { tokenFile, log } = this.#options;
    if (tokenFile === undefined) return undefined;
    try {
      const text = (await readPrivateFile(tokenFile))?.trim();
      if (text === undefined && this.#held !== undefined) return undefined;
      if (text === undefined) throw new Error(`${tokenFile} is missing: ${this.#fix()}`);
      const token = parseJoinToken(text);
      if (token === undefined) throw new Error(`${tokenFile} holds no join token: ${this.#fix()}`);
      return token.id === this.#held?.enrolment ? undefined : { ...token, text };
    } catch (err) {
      if (!optional) throw err;
      log.warn({ err }, 'the join token cannot be read; the node has joined before');
      return undefined;
    }
  }

  async #join({ id, text }: JoinTokenText & { text: string }): Promise<void> {
    const { ask, log, lifeSeconds = 0 } = this.#options;
    const key = await this.#file.joinKey();
    let chain;
    try {
      const by = { token: text };
      chain = await ask({ csr: createCsr(key), lifeSeconds, by, roots: this.#roots });
    } catch (error) {
      if (!(error instanceof CertificateRefusedError)) throw error;
      const why = 'it was used by another machine, has expired or was revoked';
      throw new Error(
        `control refuses join token ${id} (${error.message}): ${why}; ${this.#fix()}`,
      );
    }
    const held = await this.#take(key, chain);
    await this.#file.dropJoinKey();
    log.info({ node: held.node, expires: new Date(held.expiresAt) }, 'this node has joined');
  }

  async #renew(held: HeldCredential): Promise<void> {
    const { ask, log, lifeSeconds = 0 } = this.#options;
    const key = newP256Key();
    let chain;
    try {
      chain = await ask({ csr: createCsr(key), lifeSeconds, by: held, roots: this.#roots });
    } catch (error) {
      if (!(error instanceof CertificateRefusedError)) throw error;
      this.#refused = true;
      throw this.#refusal(held);
    }
    const { expiresAt } = await this.#take(key, chain);
    this.#renewals++;
    log.info({ node: held.node, expires: new Date(expiresAt) }, 'the node certificate is renewed');
  }

  /** On disk before it is used: what control was told is what a restart finds. */
  async #take(key: KeyObject, answer: readonly string[]): Promise<HeldCredential> {
    const held = heldCredential(key, answer.slice(0, -1));
    await this.#takeRoots(answer.at(-1) ?? '');
    await this.#file.save(held);
    this.#hold(held, Date.now());
    this.#refused = false;
    this.#fileError = '';
    this.#options.onChange();
    return held;
  }

  /**
   * Whoever answered was known by the roots of before, and says which are believed from now on: the next one is in the
   * bundle long before anything is signed by it, so a rotation needs no new --xds-root.
   */
  async #takeRoots(text: string): Promise<void> {
    const roots = checkedRoots(text);
    if (roots === undefined) {
      this.#options.log.warn('the roots that came with the certificate cannot be used');
    } else if (roots !== this.#roots) {
      await this.#file.saveRoots(roots);
      this.#roots = roots;
    }
  }

  /** Half of its life, give or take a tenth, so that nodes that joined together do not renew together. */
  #hold(held: HeldCredential, since: number): void {
    this.#held = held;
    this.#renewAt = since + (held.expiresAt - since) * (0.45 + 0.1 * Math.random());
  }

  #hasEnded({ expiresAt }: HeldCredential): boolean {
    return Date.now() >= expiresAt;
  }

  #refusal({ node }: HeldCredential): Error {
    const why =
      'it was revoked, another machine has joined under its name, or control has another root';
    return new Error(`control refuses the certificate of node ${node}: ${why}; ${this.#fix()}`);
  }

  #fix(): string {
    const { tokenFile } = this.#options;
    const make = `podwire token create --name ${this.#held?.node ?? 'NODE'}`;
    const give =
      tokenFile === undefined ? 'give it with --join-token FILE' : `put it in ${tokenFile}`;
    return `make a new token at control (${make}) and ${give}`;
  }

  #fail({ message }: Error): void {
    if (message !== this.#error) this.#options.log.error(message);
    this.#error = message;
  }
}
