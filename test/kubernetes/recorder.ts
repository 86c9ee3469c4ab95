/**
 * What a source tells, merged, and how to wait for it.
 */
import type { TestContext } from 'node:test';
import type { KubernetesClient } from '../../src/control/kubernetes/client.ts';
import {
  KubernetesSource,
  type KubernetesTiming,
} from '../../src/control/sources/kubernetes/source.ts';
import type { OriginChanges, OriginContent, SourceSink } from '../../src/control/sources/source.ts';
import { createLog } from '../../src/log.ts';
import type { Finding } from '../../src/model/finding.ts';
import type { Resource } from '../../src/model/resource.ts';

const WAIT_MS = 20_000;

export const silentLog = createLog({ level: 'silent', pretty: false });

/** Quick enough for tests; the defaults are for production. */
export const QUICK: Partial<KubernetesTiming> = {
  discoveryMs: 300,
  discoveryTimeoutMs: 1000,
  retryFirstMs: 50,
  retryMaxMs: 400,
};

export class Recorder implements SourceSink {
  readonly origins = new Map<string, OriginContent>();
  /** every time an origin was told, by origin */
  readonly told = new Map<string, number>();
  readonly batches: number[] = [];
  away: Finding | undefined;
  #wake = (): void => {};

  apply(changes: OriginChanges): void {
    this.batches.push(changes.size);
    for (const [origin, content] of changes) {
      this.told.set(origin, (this.told.get(origin) ?? 0) + 1);
      if (content === undefined) this.origins.delete(origin);
      else this.origins.set(origin, content);
    }
    this.#wake();
  }

  unavailable(finding: Finding | undefined): void {
    this.away = finding;
    this.#wake();
  }

  resource(origin: string): Resource | undefined {
    return this.origins.get(origin)?.resources[0];
  }

  /** Origins that start so, without the start. */
  under(prefix: string): string[] {
    const found = [...this.origins.keys()].filter((origin) => origin.startsWith(prefix));
    return found.map((origin) => origin.slice(prefix.length)).sort();
  }

  async until(what: string, condition: () => boolean, timeoutMs = WAIT_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - performance.now();
      if (left <= 0) {
        const origins = [...this.origins.keys()].slice(0, 50).join(', ');
        throw new Error(`not reached: ${what}; away: ${this.away?.message}; origins: ${origins}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, Math.min(left, 50));
      });
    }
  }
}

export async function follow(
  t: TestContext,
  client: KubernetesClient,
  options: {
    readonly cluster?: string;
    readonly role?: 'primary' | 'workloads';
    readonly timing?: Partial<KubernetesTiming>;
  } = {},
): Promise<{ recorder: Recorder; source: KubernetesSource }> {
  const { cluster = 'east', role = 'primary', timing } = options;
  const source = new KubernetesSource({
    client,
    cluster,
    role,
    rootNamespace: 'istio-system',
    log: silentLog,
    timing: { ...QUICK, ...timing },
  });
  t.after(() => source.close());
  const recorder = new Recorder();
  await source.start(recorder);
  return { recorder, source };
}
