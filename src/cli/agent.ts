/**
 * `podwire agent`: options in, a running agent, and its orderly end.
 *
 * The first SIGTERM or SIGINT (or POST /v1/shutdown) drains and stops; a second one gives up the waiting.
 */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { Command } from 'commander';
import {
  parseAgentOptions,
  type AgentOptions,
  type RawAgentOptions,
} from '../config/agent-options.ts';
import {
  DEFAULT_ADMIN_SOCKET,
  DEFAULT_BPFFS,
  DEFAULT_CLUSTER_ID,
  DEFAULT_METRICS,
  DEFAULT_STATE_DIR,
} from '../config/defaults.ts';
import { PodwireError } from '../errors.ts';
import { createLog, LOG_LEVELS, type Log } from '../log.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';

const CLOSE_DEADLINE_MS = 10_000;
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

export function agentCommand(): Command {
  return new Command('agent')
    .description('Capture the pods of this node; runs until SIGTERM.')
    .requiredOption('--config <dir>', 'folder of Kubernetes YAML; changes apply at once')
    .option('--cgroup <path>', 'capture the processes below it (default: the cgroup v2 root)')
    .option('--bpffs <path>', 'BPF file system for the pins', DEFAULT_BPFFS)
    .option('--state-dir <dir>', 'what is kept across restarts', DEFAULT_STATE_DIR)
    .option('--admin <socket>', 'unix socket of the admin API', DEFAULT_ADMIN_SOCKET)
    .option(
      '--metrics <address>',
      'IP:PORT of /metrics and /healthz/ready, or off',
      DEFAULT_METRICS,
    )
    .option('--splice <mode>', 'join same-node connections in the kernel: on or off', 'on')
    .option('--workers <count>', 'threads of the proxy', '1')
    .option('--trust-domain <name>', 'of SPIFFE identities', DEFAULT_TRUST_DOMAIN)
    .option('--cluster-id <id>', 'name of the cluster in metrics and uids', DEFAULT_CLUSTER_ID)
    .option('--node <name>', "spec.nodeName of this node's pods (default: what they say)")
    .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')
    .option('--log-pretty', 'log for people instead of JSON')
    .action((raw: RawAgentOptions) =>
      run(parseAgentOptions(raw, { mounts: () => readFileSync('/proc/mounts', 'utf8') })),
    );
}

async function run(options: AgentOptions): Promise<void> {
  const log = createLog(options.log);
  const stop = new StopRequest();
  try {
    await Promise.race([live(options, log, stop), stop.abandoned]);
  } finally {
    stop.release();
  }
}

async function live(options: AgentOptions, log: Log, stop: StopRequest): Promise<void> {
  const { signal } = stop;
  const levels = new LevelSwitch(log);
  const { startAgent } = await import('../agent/app.ts');
  let agent;
  try {
    agent = await startAgent(options, {
      log,
      signal,
      setLogLevel: (level) => levels.set(level),
      onShutdown: () => stop.request('POST /v1/shutdown'),
    });
  } catch (error) {
    // told to stop while it was still starting: no failure
    if (!signal.aborted || error instanceof PodwireError) throw error;
    log.info({ reason: String(signal.reason) }, 'stopped before the start was complete');
    return;
  }
  if (!signal.aborted) await once(signal, 'abort');
  log.info({ reason: String(signal.reason) }, 'stopping');
  await agent.close(CLOSE_DEADLINE_MS);
  log.info('stopped');
}

/** pino's children keep the level they were born with: all of them are told. */
class LevelSwitch {
  readonly #loggers: Log[];

  constructor(root: Log) {
    this.#loggers = [root];
    root.onChild = (child) => this.#loggers.push(child as Log);
  }

  set(name: string): boolean {
    const level = LOG_LEVELS.find((known) => known === name);
    if (level === undefined) return false;
    for (const logger of this.#loggers) logger.level = level;
    return true;
  }
}

/** Why and when to stop; a second signal means: now. */
class StopRequest {
  readonly #controller = new AbortController();
  readonly #onSignal: (name: NodeJS.Signals) => void;
  readonly abandoned: Promise<never>;

  constructor() {
    let abandon: (error: Error) => void;
    this.abandoned = new Promise((_, reject) => {
      abandon = reject;
    });
    this.#onSignal = (name) => {
      if (!this.signal.aborted) this.request(name);
      else abandon(new Error(`a second signal (${name}): stopped without waiting`));
    };
    for (const name of STOP_SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  request(reason: string): void {
    this.#controller.abort(reason);
  }

  release(): void {
    for (const name of STOP_SIGNALS) process.off(name, this.#onSignal);
  }
}
