/**
 * `podwire demo`: shows two pods before, while and after podwire captures them, measures, and takes everything down
 * again, whatever happens.
 */
import { runBench } from '../bench/bench.ts';
import type { BenchOptions } from '../bench/options.ts';
import { renderSummary } from './bench-summary.ts';
import { Ground, sweepDeadDemos, takeDown } from './ground.ts';
import { requireSetup } from './preflight.ts';
import type { Screen } from './screen.ts';
import { tellStory } from './story.ts';

export interface DemoInput {
  readonly bench: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

/** Ends within a minute. */
const BENCH: BenchOptions = {
  variants: ['plain', 'podwire', 'sidecar', 'sidecar-mtls'],
  shapes: ['tcp-rr-64', 'http-1k-c16'],
  rounds: 3,
  seconds: 0.5,
  limitSeconds: 50,
  iptablesRules: 0,
  httpServer: 'bench-httpd',
  unpinned: false,
};

export async function runDemo({ bench, environment, screen, signal }: DemoInput): Promise<void> {
  requireSetup(environment);
  const start = performance.now();
  screen.title('podwire demo: two pods before, in and after the mesh (Ctrl-C removes all)');
  const swept = sweepDeadDemos();
  if (swept.length > 0) screen.note(`removed what an earlier demo left: ${swept.join(', ')}`);
  process.on('exit', takeDown);
  try {
    await tellStory({ ground: new Ground(), screen, signal });
    if (bench) {
      screen.heading('A short bench: plain pods, podwire, and real Envoy sidecars');
      const outcome = await runBench({
        options: BENCH,
        environment,
        progress: (line) => screen.progress(line),
        signal,
      });
      screen.note(renderSummary(outcome));
      screen.note('With more shapes, spreads and charts: npm run bench -- --help');
    }
    screen.note(`\nDone in ${Math.round((performance.now() - start) / 1_000)} s.`);
  } finally {
    screen.clear();
    takeDown();
    process.off('exit', takeDown);
  }
}
