/**
 * `podwire bench`: brings up all variants side by side, measures them in alternating rounds, and takes everything down
 * again, whatever happens.
 */
import { PodwireError } from '../../src/errors.ts';
import { CpuPlacement, allowedCpus } from './cpus.ts';
import { Drivers } from './drivers.ts';
import { measureHooks, programIds, type HookCost } from './hooks.ts';
import { describeMachine } from './machine.ts';
import type { BenchOptions, VariantName } from './options.ts';
import { measureIdle } from './idle.ts';
import {
  buildResult,
  type BenchResult,
  type IdleResult,
  type Sample,
  type Series,
} from './result.ts';
import { Sandbox } from './sandbox.ts';
import { METRICS, findShape, type Shape } from './shapes.ts';
import { bringUpNodes } from './two-nodes.ts';
import { bringUp, type Variants } from './variants.ts';

export interface BenchInput {
  readonly options: BenchOptions;
  readonly environment: NodeJS.ProcessEnv;
  /** one line for the person who waits */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface BenchOutcome {
  readonly result: BenchResult;
  readonly series: readonly Series[];
  /** empty unless asked for */
  readonly hooks: readonly HookCost[];
  /** why a variant that was asked for was not measured */
  readonly missing: ReadonlyMap<VariantName, string>;
}

const ENVOY_VARIANTS: readonly VariantName[] = ['envoy-hbone', 'sidecar', 'sidecar-mtls'];

export async function runBench(input: BenchInput): Promise<BenchOutcome> {
  const { options, environment, progress, signal } = input;
  if (process.getuid?.() !== 0) {
    throw new PodwireError(
      'ERR_NOT_ROOT',
      'the bench makes network namespaces and loads BPF programs',
      {
        hint: 'run it as root (sudo)',
      },
    );
  }
  const start = performance.now();
  const shapes = options.shapes.map(shapeOrThrow);
  const allowed = allowedCpus();
  const sandbox = new Sandbox();
  let variants: Variants | undefined;
  try {
    const drivers = new Drivers({
      sandbox,
      httpServer: options.httpServer,
      closing: options.twoNodes ? 'fin' : 'reset',
      signal,
    });
    const hooked = options.hooks === true && options.variants.includes('podwire');
    const others = hooked ? programIds() : new Set<number>();
    const bring = options.twoNodes ? bringUpNodes : bringUp;
    variants = await bring({ sandbox, options, shapes, drivers, environment, progress, signal });
    const own = new Set([...(hooked ? programIds() : [])].filter((id) => !others.has(id)));
    const placement = new CpuPlacement({ allowed, unpinned: options.unpinned });
    const rounds = new Rounds({ shapes, variants, drivers, placement, options, progress, signal });
    await rounds.run(start + options.limitSeconds * 1_000);
    const hooks = hooked
      ? await measureHooks({ own, run: () => rounds.countConnections('podwire') })
      : [];
    const connections = options.twoNodes?.idleConnections ?? 0;
    const idle =
      connections > 0
        ? await weighIdle({ sandbox, variants, connections, progress, signal })
        : undefined;
    const { learningSeconds, missing } = variants;
    const sidecars = ENVOY_VARIANTS.some((name) => variants?.routes.has(name));
    const machine = describeMachine({ httpServer: options.httpServer, sidecars, learningSeconds });
    const { iptablesRules } = options;
    const { series } = rounds;
    const result = buildResult({
      ...{ machine, rounds: rounds.done, iptablesRules, series },
      ...(idle && { idle }),
    });
    return { result, series, hooks, missing };
  } catch (error) {
    throw signal.aborted ? error : sandbox.explain(error);
  } finally {
    await variants?.stop();
    sandbox.close();
  }
}

async function weighIdle(input: {
  readonly sandbox: Sandbox;
  readonly variants: Variants;
  readonly connections: number;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}): Promise<readonly IdleResult[]> {
  const { sandbox, variants, connections, progress, signal } = input;
  const results: IdleResult[] = [];
  for (const [variant, route] of variants.routes) {
    if (route.meshPids.length === 0) continue;
    progress(`weighing ${connections} idle connections of ${variant}`);
    results.push(await measureIdle({ sandbox, variant, route, connections, signal }));
  }
  return results;
}

function shapeOrThrow(name: string): Shape {
  const shape = findShape(name);
  if (shape === undefined) throw new PodwireError('ERR_BAD_OPTION', `there is no shape "${name}"`);
  return shape;
}

/** Alternates between the variants within each shape, and turns their order round after every round. */
class Rounds {
  readonly series: readonly (Series & { readonly samples: Sample[] })[];
  readonly #variants: Variants;
  readonly #drivers: Drivers;
  readonly #placement: CpuPlacement;
  readonly #options: BenchOptions;
  readonly #progress: (line: string) => void;
  readonly #signal: AbortSignal;
  #done = 0;

  constructor(input: {
    readonly shapes: readonly Shape[];
    readonly variants: Variants;
    readonly drivers: Drivers;
    readonly placement: CpuPlacement;
    readonly options: BenchOptions;
    readonly progress: (line: string) => void;
    readonly signal: AbortSignal;
  }) {
    const { shapes, variants } = input;
    this.#variants = variants;
    this.#drivers = input.drivers;
    this.#placement = input.placement;
    this.#options = input.options;
    this.#progress = input.progress;
    this.#signal = input.signal;
    this.series = shapes.flatMap((shape) =>
      [...variants.routes.keys()]
        .filter(
          (variant) =>
            variant !== 'unix' || shape.load.kind === 'rr' || shape.load.kind === 'stream',
        )
        .map((variant) => ({ shape, variant, samples: [] })),
    );
  }

  get done(): number {
    return this.#done;
  }

  async run(deadlineMs: number): Promise<void> {
    const { rounds } = this.#options;
    const start = performance.now();
    while (this.#done < rounds) {
      const perRound = this.#done === 0 ? 0 : (performance.now() - start) / this.#done;
      if (performance.now() + perRound > deadlineMs) {
        this.#progress(`no time for more than ${this.#done} of ${rounds} rounds`);
        return;
      }
      await this.#round();
      this.#done++;
    }
  }

  /** How many connections a run of tcp-crr makes, for those who watch it. */
  async countConnections(variant: VariantName): Promise<number> {
    this.#progress(`counting what hooks cost ${variant}`);
    return (await this.#measure(shapeOrThrow('tcp-crr'), variant)).operations;
  }

  async #round(): Promise<void> {
    const title = `round ${this.#done + 1}/${this.#options.rounds}`;
    const shapes = new Set(this.series.map(({ shape }) => shape));
    for (const shape of shapes) {
      const row = this.series.filter((one) => one.shape === shape);
      if (this.#done % 2 === 1) row.reverse();
      for (const { variant, samples } of row) {
        this.#signal.throwIfAborted();
        const sample = await this.#measure(shape, variant);
        samples.push(sample);
        const value = sample[shape.headline];
        this.#progress(
          `${title}  ${shape.name}  ${variant}  ${value} ${METRICS[shape.headline].label}`,
        );
      }
    }
  }

  async #measure(shape: Shape, variant: VariantName): Promise<Sample> {
    const route = this.#variants.routes.get(variant);
    if (route === undefined) throw new Error(`${variant} is not up`);
    this.#placement.moveSidecars(route.sidecarPids, shape.cpu);
    const cpus = this.#placement.plan(shape.cpu);
    try {
      return await this.#drivers.measure({ shape, route, cpus, seconds: this.#options.seconds });
    } catch (error) {
      this.#signal.throwIfAborted();
      throw new Error(`${shape.name} of ${variant} could not be measured`, { cause: error });
    }
  }
}
