/**
 * `podwire demo`: shows a newcomer on this machine what capturing two pods does.  The work is done in test/demo, next to
 * the tests whose tools it uses.
 */
import { Command } from 'commander';

interface Flags {
  readonly bench: boolean;
}

const DEFAULT_WIDTH = 80;

/** What a shell expects of a process that a signal ended. */
const SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'Watch two pods being captured, policed, measured and let go, in network namespaces of its own.\n' +
        'Takes about a minute, needs root, and leaves nothing behind.',
    )
    .option('--no-bench', 'end before the bench')
    .action(demo);
}

async function demo({ bench }: Flags): Promise<void> {
  const controller = new AbortController();
  let stoppedBy: StopSignal | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    stoppedBy ??= signal as StopSignal;
    controller.abort();
  };
  const signals = Object.keys(SIGNAL_EXIT_CODES) as StopSignal[];
  // until the end: a second Ctrl-C must not end the process in the middle of taking down
  for (const signal of signals) process.on(signal, stop);
  try {
    const [{ runDemo }, { Screen }] = await Promise.all([
      import('../../test/demo/demo.ts'),
      import('../../test/demo/screen.ts'),
    ]);
    const { stdout, env } = process;
    const terminal = stdout.isTTY === true;
    const screen = new Screen({
      write: (text) => void stdout.write(text),
      terminal,
      colours: terminal && env['NO_COLOR'] === undefined,
      width: stdout.columns ?? DEFAULT_WIDTH,
    });
    await runDemo({ bench, environment: env, screen, signal: controller.signal });
  } catch (error) {
    if (stoppedBy === undefined) throw error;
    console.error(`demo: stopped by ${stoppedBy}, everything is removed`);
    process.exitCode = SIGNAL_EXIT_CODES[stoppedBy];
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}
