/**
 * `podwire bench`: measures podwire beside plain pods and real sidecars on this machine.  The work is done in
 * test/bench, where the benchmarks live.
 */
import { accessSync, constants, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { BenchOutcome } from '../../test/bench/bench.ts';
import {
  ONE_NODE_VARIANTS,
  QUICK,
  THOROUGH,
  TWO_NODE_VARIANTS,
  VARIANT_NAMES,
  type BenchOptions,
  type HttpServer,
  type VariantName,
} from '../../test/bench/options.ts';
import { MAX_PODS, MIN_PODS, scaleOptions } from '../../test/bench/scale/options.ts';
import { DEFAULT_SHAPES, SHAPE_NAMES, TWO_NODE_SHAPES } from '../../test/bench/shapes.ts';
import { PodwireError } from '../errors.ts';

interface Flags {
  readonly variants?: readonly VariantName[];
  readonly shapes?: readonly string[];
  readonly twoNodes: boolean;
  readonly rounds?: number;
  readonly seconds?: number;
  readonly quick: boolean;
  readonly iptablesRules: number;
  readonly server: HttpServer;
  readonly unpinned: boolean;
  readonly hooks: boolean;
  readonly idleConnections?: number;
  readonly scale?: number;
  readonly embedded: boolean;
  readonly json?: string;
  readonly html?: string;
}

const MAX_ROUNDS = 1_000;
const MAX_SECONDS = 600;
const MAX_RULES = 50_000;
/** what the ports of one client allow */
const MAX_IDLE = 50_000;

/** What a shell expects of a process that a signal ended. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'measure podwire beside plain pods and Envoy sidecars, in network namespaces of its own',
    )
    .option(
      '--variants <names>',
      `what to compare: ${VARIANT_NAMES.join(', ')}`,
      oneOf(VARIANT_NAMES),
    )
    .option(
      '--shapes <names>',
      `traffic to compare them with: ${SHAPE_NAMES.join(', ')}`,
      oneOf(SHAPE_NAMES),
    )
    .option(
      '--two-nodes',
      `client and server on a node each, encrypted between them (${TWO_NODE_VARIANTS.join(', ')})`,
      false,
    )
    .option(
      '--idle-connections <n>',
      `with --two-nodes: weigh so many idle connections, 0: none (${THOROUGH.idleConnections})`,
      whole(0, MAX_IDLE),
    )
    .option('--rounds <n>', `alternated rounds (${THOROUGH.rounds})`, whole(1, MAX_ROUNDS))
    .option('--seconds <s>', `length of one measurement (${THOROUGH.seconds})`, seconds)
    .option('--quick', `${QUICK.rounds} rounds of ${QUICK.seconds} s, done within 3 minutes`, false)
    .option(
      '--iptables-rules <n>',
      'filter rules without a match in every pod',
      whole(0, MAX_RULES),
      0,
    )
    .addOption(
      new Option('--server <name>', 'server of the http shapes')
        .choices(['bench-httpd', 'nginx'])
        .default('bench-httpd'),
    )
    .option('--unpinned', 'let the scheduler place both ends of the -free shapes', false)
    .option('--hooks', "show what each of podwire's BPF programs costs a connection", false)
    .option(
      '--scale <pods>',
      'instead: cold start, cost of changes and memory with so many pods and a tenth as many Services',
      whole(MIN_PODS, MAX_PODS),
    )
    .option('--embedded', 'with --scale: control inside the agent instead of beside it', false)
    .option('--json <file>', 'write the result as JSON')
    .option('--html <file>', 'write the result as a page with charts')
    .action(async (flags: Flags) => bench(flags));
}

async function bench(flags: Flags): Promise<void> {
  // Before minutes of work, not after.
  for (const path of [flags.json, flags.html]) if (path !== undefined) checkWritable(path);
  const controller = new AbortController();
  let stoppedBy: keyof typeof SIGNAL_EXIT_CODES | undefined;
  const stop = (signal: keyof typeof SIGNAL_EXIT_CODES): void => {
    stoppedBy = signal;
    controller.abort();
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const { signal } = controller;
  try {
    if (flags.scale !== undefined) {
      await scale(flags.scale, flags, signal);
      return;
    }
    const { runBench } = await import('../../test/bench/bench.ts');
    const options = toOptions(flags);
    const outcome = await runBench({ options, environment: process.env, progress, signal });
    await write(outcome, flags);
  } catch (error) {
    if (stoppedBy === undefined) throw error;
    console.error(`bench: stopped by ${stoppedBy}, everything is taken down`);
    process.exitCode = SIGNAL_EXIT_CODES[stoppedBy];
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
}

function progress(line: string): void {
  console.error(`bench: ${line}`);
}

async function scale(pods: number, flags: Flags, signal: AbortSignal): Promise<void> {
  const { quick, json, embedded } = flags;
  const [{ runScale }, { renderScale }] = await Promise.all([
    import('../../test/bench/scale/run.ts'),
    import('../../test/bench/scale/result.ts'),
  ]);
  const options = scaleOptions(pods, embedded ? 'embedded' : 'separate', quick);
  const result = await runScale({ options, progress, signal });
  process.stdout.write(renderScale(result));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
}

function toOptions(flags: Flags): BenchOptions {
  const pace = flags.quick ? QUICK : THOROUGH;
  const { twoNodes } = flags;
  const measurable: readonly VariantName[] = twoNodes ? TWO_NODE_VARIANTS : ONE_NODE_VARIANTS;
  const variants = flags.variants ?? measurable;
  const misplaced = variants.find((name) => !measurable.includes(name));
  if (misplaced !== undefined) {
    throw new PodwireError(
      'ERR_BAD_OPTION',
      `${misplaced} is measured ${twoNodes ? 'without' : 'with'} --two-nodes only`,
    );
  }
  return {
    variants,
    shapes: flags.shapes ?? (twoNodes ? TWO_NODE_SHAPES : DEFAULT_SHAPES),
    ...(twoNodes && {
      twoNodes: { idleConnections: flags.idleConnections ?? pace.idleConnections },
    }),
    rounds: flags.rounds ?? pace.rounds,
    seconds: flags.seconds ?? pace.seconds,
    limitSeconds: pace.limitSeconds,
    iptablesRules: flags.iptablesRules,
    httpServer: flags.server,
    unpinned: flags.unpinned,
    hooks: flags.hooks,
  };
}

async function write(outcome: BenchOutcome, { json, html }: Flags): Promise<void> {
  const [{ renderTables }, { renderPage }] = await Promise.all([
    import('../../test/bench/table.ts'),
    import('../../test/bench/page.ts'),
  ]);
  process.stdout.write(renderTables(outcome));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(outcome.result, null, 2)}\n`);
  if (html !== undefined) writeFileSync(html, renderPage(outcome));
}

function checkWritable(path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (cause) {
    throw new PodwireError('ERR_BAD_OPTION', `${path} cannot be written`, { cause });
  }
}

function oneOf<Name extends string>(known: readonly Name[]): (list: string) => readonly Name[] {
  return (list) => {
    const names = list.split(',').map((name) => name.trim());
    return [...new Set(names)].map((name) => {
      const found = known.find((candidate) => candidate === name);
      if (found === undefined) {
        throw new InvalidArgumentError(`"${name}" is none of ${known.join(', ')}`);
      }
      return found;
    });
  };
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`it must be a whole number from ${min} to ${max}`);
  };
}

function seconds(text: string): number {
  const value = Number(text);
  if (value >= 0.05 && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError(`it must be a number from 0.05 to ${MAX_SECONDS}`);
}
