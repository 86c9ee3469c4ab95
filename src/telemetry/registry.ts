/**
 * The agent's metrics: a prom-client registry of its own, filled at scrape.
 *
 * Whoever owns numbers keeps them in plain fields (a labelled inc() costs hundreds of nanoseconds) or in the kernel, and
 * copies them here in a hook that runs before each scrape.  Scrapes that overlap share one run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Log } from '../log.ts';

export interface MetricOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

export interface Sample<L extends string> {
  readonly labels: Readonly<Record<L, string>>;
  readonly value: number;
}

/** Shows exactly the samples it was last given. */
export interface MetricFamily<L extends string> {
  set(samples: Iterable<Sample<L>>): void;
}

/** Of which each value counts. */
export interface ObservedFamily<L extends string> {
  observe(labels: Readonly<Record<L, string>>, value: number): void;
}

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

type Hook = () => void | Promise<void>;

/** A part that hangs must not take the page with it. */
const PATIENCE_MS = 2_000;

export class MetricsRegistry {
  readonly #registry = new Registry();
  readonly #hooks: { readonly name: string; readonly run: Hook }[] = [];
  readonly #log: Pick<Log, 'error'>;
  readonly #failures: MetricFamily<never>;
  #failed = 0;
  #rendering: Promise<MetricsPage> | undefined;

  /** `process`: what the series of this registry are of */
  constructor({
    log,
    process = 'agent',
  }: {
    log: Pick<Log, 'error'>;
    process?: 'agent' | 'control';
  }) {
    this.#log = log;
    this.#failures = this.counter<never>({
      name: `podwire_${process}_scrape_failures_total`,
      help: 'Parts of a scrape that failed and show their last values',
    });
    this.#failures.set([{ labels: {}, value: 0 }]);
  }

  counter<L extends string>(options: MetricOptions<L>): MetricFamily<L> {
    const metric = new Counter<L>({ ...this.#common(options) });
    return { set: (samples) => refill(metric, samples) };
  }

  gauge<L extends string>(options: MetricOptions<L>): MetricFamily<L> {
    const metric = new Gauge<L>({ ...this.#common(options) });
    return { set: (samples) => refill(metric, samples) };
  }

  /** For what happens some thousand times a second at most: each observation costs half a microsecond. */
  histogram<L extends string>(
    options: MetricOptions<L> & { readonly buckets: readonly number[] },
  ): ObservedFamily<L> {
    const metric = new Histogram<L>({ ...this.#common(options), buckets: [...options.buckets] });
    return { observe: (labels, value) => metric.observe(labels, value) };
  }

  /** `run` copies numbers into the families of its owner. */
  beforeScrape(name: string, run: Hook): void {
    this.#hooks.push({ name, run });
  }

  render(): Promise<MetricsPage> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #render(): Promise<MetricsPage> {
    for (const { name, run } of this.#hooks) {
      try {
        await patiently(run);
      } catch (err) {
        this.#failed++;
        this.#log.error({ err, part: name }, 'a part of the metrics could not be read');
      }
    }
    this.#failures.set([{ labels: {}, value: this.#failed }]);
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  #common<L extends string>({ name, help, labels = [] }: MetricOptions<L>) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}

async function patiently(run: Hook): Promise<void> {
  const done = run();
  if (done === undefined) return;
  const timer = new AbortController();
  const late = sleep(PATIENCE_MS, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`no answer within ${PATIENCE_MS} ms`);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    timer.abort();
  }
}

function refill<L extends string>(
  metric: Counter<L> | Gauge<L>,
  samples: Iterable<Sample<L>>,
): void {
  metric.reset();
  for (const { labels, value } of samples) metric.inc(labels, value);
}
