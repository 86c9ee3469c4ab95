/** Pods whose namespace was missing, and changes the kernel refused: tried again until they succeed. */
import type { Reconciler } from '../kernel/reconciler.ts';

const EVERY_MS = 1000;

/** `retried`: something may have succeeded */
export function startPodRetry(reconciler: Reconciler, retried: () => void): { close(): void } {
  const timer = setInterval(() => {
    if (reconciler.failures().length + reconciler.pending === 0) return;
    reconciler.retry();
    retried();
  }, EVERY_MS);
  return { close: () => clearInterval(timer) };
}
