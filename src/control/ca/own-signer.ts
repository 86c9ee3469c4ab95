/**
 * The CA's own root: made at the first start, kept in a store that replicas share, rotated by the dates in it.
 *
 * Every replica reads the store each minute and does the step that is due; the store lets one of them win.  A replica
 * that cannot read the store stops signing before the others could have gone on by a step without it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../../lifecycle/backoff.ts';
import type { Log } from '../../log.ts';
import { createRoot, importSigner, type NewRoot } from './certificate.ts';
import { SYSTEM_TIME, type TimeSource, WatchedClock } from './clock.ts';
import {
  announced,
  bundleOf,
  dropped,
  dueStep,
  overlapOf,
  ROTATION_SLACK_MS,
  type RootState,
  switched,
} from './root-state.ts';
import type { RootStore, StoredRoots } from './root-store.ts';
import {
  type Signer,
  SignerListeners,
  type SignerSource,
  SignerUnavailableError,
  validityOf,
} from './signer.ts';

export interface OwnSignerOptions {
  readonly store: RootStore;
  readonly trustDomain: string;
  /** of any certificate it will sign, in ms */
  readonly longestLifeMs: number;
  readonly rootLifeMs?: number;
  readonly log: Log;
  readonly time?: TimeSource;
  /** how often the store is read, in ms */
  readonly intervalMs?: number;
}

const DAY_MS = 86_400_000;
export const DEFAULT_ROOT_LIFE_MS = 3_650 * DAY_MS;
const DEFAULT_INTERVAL_MS = 60_000;
/** for machines whose clocks are behind */
const BACKDATE_MS = 300_000;
/** Half of the slack: the others may go on by a step after all of it. */
export const MAX_STALE_MS = ROTATION_SLACK_MS / 2;
const MAX_CONFLICTS = 20;

export class OwnSigner implements SignerSource {
  readonly #options: Required<OwnSignerOptions>;
  readonly #clock: WatchedClock;
  readonly #listeners = new SignerListeners();
  readonly #closed = new AbortController();
  #stored: StoredRoots;
  #signer: Signer;
  /** monotonic, when the store was last read */
  #readAt: number;
  /** monotonic; no step before */
  #heldUntil = -Infinity;
  #running: Promise<void> | undefined;

  private constructor(options: Required<OwnSignerOptions>, stored: StoredRoots, signer: Signer) {
    this.#options = options;
    this.#clock = new WatchedClock(options.time);
    this.#stored = stored;
    this.#signer = signer;
    this.#readAt = options.time.monotonic();
  }

  /** Throws PodwireError when the store holds what cannot be used. */
  static async start(given: OwnSignerOptions): Promise<OwnSigner> {
    const options = {
      rootLifeMs: DEFAULT_ROOT_LIFE_MS,
      intervalMs: DEFAULT_INTERVAL_MS,
      time: SYSTEM_TIME,
      ...given,
    };
    const stored = await loadOrCreate(options);
    const signer = new OwnSigner(options, stored, await signerOf(stored.state));
    await signer.check();
    signer.#running = signer.#run();
    return signer;
  }

  current(): Signer {
    const staleMs = this.#options.time.monotonic() - this.#readAt;
    if (staleMs > MAX_STALE_MS) {
      const seconds = Math.round(staleMs / 1000);
      throw new SignerUnavailableError(`the roots could not be read for ${seconds} s`);
    }
    return this.#signer;
  }

  get state(): RootState {
    return this.#stored.state;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Asks for a rotation; it begins at once, or when the one that goes on has ended. */
  async rotate(): Promise<void> {
    await this.#change((state) => ({ ...state, rotate: true }));
    await this.check();
  }

  /** Reads the store and does the step that is due, one at most. */
  async check(): Promise<void> {
    const { store, time, log } = this.#options;
    const jump = this.#clock.jump();
    if (jump !== 0) {
      this.#heldUntil = time.monotonic() + overlapOf(this.#stored.state);
      log.warn({ jumpMs: Math.round(jump) }, 'the clock was set: root rotation waits');
    }
    const loaded = await store.load();
    this.#readAt = time.monotonic();
    if (loaded) await this.#adopt(loaded);
    // Somebody removed it.  Another root would be trusted by nobody: put back the one in use.
    else await this.#change((state) => state);
    await this.#change(({ longestLifeMs, ...state }) => ({
      ...state,
      longestLifeMs: Math.max(longestLifeMs, this.#options.longestLifeMs),
    }));
    if (time.monotonic() < this.#heldUntil) return;
    await this.#step();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #step(): Promise<void> {
    const { time, log } = this.#options;
    const step = dueStep(this.#stored.state, time.wall());
    if (step === undefined) return;
    const next = step === 'announce' ? await newRoot(this.#options) : undefined;
    let done = false;
    await this.#change((state) => {
      const now = time.wall();
      done = dueStep(state, now) === step;
      if (!done) return state;
      if (next) return announced(state, next, now);
      return step === 'switch' ? switched(state, now) : dropped(state, now);
    });
    if (done) log.info({ step, roots: this.#signer.roots.length }, 'root rotation');
  }

  /** Applies `change` to the newest state until it is stored; does nothing when it gives an equal one back. */
  async #change(change: (state: RootState) => RootState): Promise<void> {
    const { store } = this.#options;
    let over: StoredRoots | undefined = await store.load();
    for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
      const state = over?.state ?? this.#stored.state;
      const changed = change(state);
      if (over && JSON.stringify(changed) === JSON.stringify(state)) return this.#adopt(over);
      const saved = await store.save(changed, over?.version);
      if (saved !== 'conflict') return this.#adopt(saved);
      over = await store.load();
    }
    throw new SignerUnavailableError('the roots are being changed by others without a pause');
  }

  async #adopt(stored: StoredRoots): Promise<void> {
    if (stored.version === this.#stored.version) return;
    const known = bundleOf(this.#stored.state);
    if (!bundleOf(stored.state).some((root) => known.includes(root))) {
      this.#options.log.error('the roots were replaced: what they signed is trusted no more');
    }
    this.#signer = await signerOf(stored.state);
    this.#stored = stored;
    this.#listeners.call();
  }

  async #run(): Promise<void> {
    const { intervalMs, log } = this.#options;
    const backoff = new Backoff({ firstMs: Math.min(1_000, intervalMs), maxMs: intervalMs });
    const { signal } = this.#closed;
    for (let pauseMs = intervalMs; ;) {
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        await this.check();
        backoff.reset();
        pauseMs = intervalMs;
      } catch (err) {
        log.error({ err }, 'the roots cannot be read');
        pauseMs = backoff.nextMs();
      }
    }
  }
}

async function loadOrCreate(options: Required<OwnSignerOptions>): Promise<StoredRoots> {
  const { store, longestLifeMs, log } = options;
  for (let tries = 0; tries < MAX_CONFLICTS; tries++) {
    const loaded = await store.load();
    if (loaded) return loaded;
    const active = await newRoot(options);
    const first: RootState = { format: 1, active, retiring: [], longestLifeMs };
    const saved = await store.save(first, undefined);
    if (saved === 'conflict') continue;
    log.info('first start: a root was made');
    return saved;
  }
  throw new SignerUnavailableError('the roots are being changed by others without a pause');
}

function newRoot({ trustDomain, rootLifeMs, time }: Required<OwnSignerOptions>): Promise<NewRoot> {
  const now = time.wall();
  return createRoot(trustDomain, {
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + rootLifeMs),
  });
}

async function signerOf(state: RootState): Promise<Signer> {
  const roots = bundleOf(state);
  const { certificate, key } = state.active;
  return {
    ...(await importSigner(certificate, key)),
    ...validityOf([certificate]),
    intermediates: [],
    roots,
    issuers: roots,
  };
}
