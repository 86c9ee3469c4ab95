/**
 * Refusals by who, whom, policy and rule; and what policies that only run dry would have done. Identities of clients are those
 * the kernel attested, so their number is that of the node's pods: a scan from outside is one series.
 */
import type { FlowKind, RuleName } from './flow-info.ts';
import type { MetricFamily, MetricsRegistry } from './registry.ts';

const ENDS = ['source_principal', 'destination_principal', 'policy', 'rule'] as const;
const UNKNOWN = 'unknown';

/** Decided by an Authorization, or for want of one. */
const BY_POLICY: ReadonlySet<string> = new Set(['policy', 'identity-unknown', 'revoked']);

interface Count {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

export interface PolicyCounts {
  add(): void;
}

export class PolicyMetrics {
  readonly #denied = new Map<string, Count>();
  readonly #dryRun = new Map<string, Count>();

  constructor({ registry }: { registry: MetricsRegistry }) {
    const denied: MetricFamily<string> = registry.counter({
      name: 'podwire_policy_denied_total',
      help: 'Connections refused or ended by an Authorization, by both identities, policy and rule',
      labels: [...ENDS],
    });
    const dryRun: MetricFamily<string> = registry.counter({
      name: 'podwire_policy_dry_run_total',
      help: 'Connections to pods with dry-run policies, by what these would have done',
      labels: [...ENDS, 'result'],
    });
    registry.beforeScrape('policies', () => {
      denied.set(this.#denied.values());
      dryRun.set(this.#dryRun.values());
    });
  }

  /** What one more connection of this kind is counted under. */
  of(kind: FlowKind): PolicyCounts {
    const { dryRun } = kind;
    const counts = [
      ...(BY_POLICY.has(kind.reason) ? [countOf(this.#denied, labelsOf(kind, kind))] : []),
      ...(dryRun
        ? [
            countOf(this.#dryRun, {
              ...labelsOf(kind, dryRun),
              result: dryRun.allowed ? 'allow' : 'deny',
            }),
          ]
        : []),
    ];
    return {
      add() {
        for (const count of counts) count.value++;
      },
    };
  }
}

function labelsOf({ source, destination }: FlowKind, { policy, rule }: RuleName) {
  return {
    source_principal: source.identity || UNKNOWN,
    destination_principal: destination.identity || UNKNOWN,
    policy,
    rule,
  };
}

function countOf(counts: Map<string, Count>, labels: Readonly<Record<string, string>>): Count {
  const key = JSON.stringify(labels);
  let count = counts.get(key);
  if (count === undefined) counts.set(key, (count = { labels, value: 0 }));
  return count;
}
