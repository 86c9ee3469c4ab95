import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counter, counterNames, Reason, reasonNames } from '../../../src/kernel/abi/layout.gen.ts';
import { registerAgentMetrics } from '../../../src/telemetry/agent-metrics.ts';
import { isDenied, registerKernelMetrics } from '../../../src/telemetry/kernel-metrics.ts';
import { MetricsRegistry } from '../../../src/telemetry/registry.ts';
import { parseMetrics, valueOf } from './metrics-text.ts';

const QUIET = { error: () => {} };

test('a family shows exactly the samples it was last given', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  const family = registry.gauge({ name: 'g', help: 'a gauge', labels: ['a'] });
  family.set([{ labels: { a: '1' }, value: 4 }]);
  family.set([{ labels: { a: '2' }, value: 5 }]);
  const { text, contentType } = await registry.render();
  assert.match(contentType, /^text\/plain; version=0\.0\.4/);
  assert.match(text, /^# HELP g a gauge\n# TYPE g gauge\ng\{a="2"\} 5$/m);
  assert.doesNotMatch(text, /a="1"/);
});

test('a part that fails or hangs does not take the page with it', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  const good = registry.counter<never>({ name: 'good_total', help: 'good' });
  registry.beforeScrape('bad', () => {
    throw new Error('no');
  });
  registry.beforeScrape('rejects', () => Promise.reject(new Error('no')));
  registry.beforeScrape('hangs', () => new Promise(() => {}));
  registry.beforeScrape('good', () => good.set([{ labels: {}, value: 7 }]));
  // the deadline's timer does not keep the process: something must
  const alive = setInterval(() => {}, 1_000);
  const series = parseMetrics((await registry.render()).text);
  clearInterval(alive);
  assert.equal(valueOf(series, 'good_total'), 7);
  assert.equal(valueOf(series, 'podwire_agent_scrape_failures_total'), 3);
});

test('scrapes at the same time share one run', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  let runs = 0;
  registry.beforeScrape('slow', async () => {
    runs++;
    await new Promise((resolve) => setImmediate(resolve));
  });
  const [first, second] = await Promise.all([registry.render(), registry.render()]);
  assert.equal(first, second);
  await registry.render();
  assert.equal(runs, 2);
});

test('two registries share nothing', async () => {
  for (let i = 0; i < 2; i++) {
    const registry = new MetricsRegistry({ log: QUIET });
    registry.counter<never>({ name: 'same_total', help: 'same' }).set([]);
    assert.equal(valueOf(parseMetrics((await registry.render()).text), 'same_total'), 0);
  }
});

test('every counter and reason of the kernel is there from the start, at 0', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  registerKernelMetrics({
    registry,
    kernel: { counters: () => [], reasons: () => [], maps: () => [] },
  });
  const series = parseMetrics((await registry.render()).text);
  for (const counter of counterNames) {
    assert.equal(valueOf(series, 'podwire_kernel_counter_total', { counter }), 0);
  }
  for (const [i, reason] of reasonNames.entries()) {
    if (i === Reason.NONE) continue;
    const kind = isDenied(i) ? 'denied' : 'not_spliced';
    assert.equal(valueOf(series, `podwire_connections_${kind}_total`, { reason }), 0);
  }
  assert.equal(valueOf(series, 'podwire_connections_spliced_total'), 0);
  assert.equal(valueOf(series, 'podwire_events_lost_total'), 0);
});

test('kernel numbers come out under their names', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  const counters = counterNames.map(() => 0n);
  counters[Counter.SPLICED] = 12n;
  counters[Counter.EVENTS_LOST] = 3n;
  const reasons = reasonNames.map(() => 0n);
  reasons[Reason.POLICY] = 4n;
  reasons[Reason.WAITER] = 5n;
  registerKernelMetrics({
    registry,
    kernel: {
      counters: () => counters,
      reasons: () => reasons,
      maps: () => [{ map: 'records', entries: 7, capacity: 262_144 }],
    },
  });
  const series = parseMetrics((await registry.render()).text);
  assert.equal(valueOf(series, 'podwire_connections_spliced_total'), 12);
  assert.equal(valueOf(series, 'podwire_kernel_counter_total', { counter: 'spliced' }), 12);
  assert.equal(valueOf(series, 'podwire_events_lost_total'), 3);
  assert.equal(valueOf(series, 'podwire_connections_denied_total', { reason: 'policy' }), 4);
  assert.equal(valueOf(series, 'podwire_connections_not_spliced_total', { reason: 'waiter' }), 5);
  assert.equal(valueOf(series, 'podwire_map_entries', { map: 'records' }), 7);
  assert.equal(valueOf(series, 'podwire_map_capacity', { map: 'records' }), 262_144);
});

test('what was refused and what stayed on TCP are told apart', () => {
  assert.ok(isDenied(Reason.POLICY) && isDenied(Reason.MAP_FULL));
  assert.ok(!isDenied(Reason.NONE) && !isDenied(Reason.PEER_NOT_LOCAL) && !isDenied(Reason.FLOOD));
});

test('the agent shows its own state and its process', async () => {
  const registry = new MetricsRegistry({ log: QUIET });
  registerAgentMetrics({
    registry,
    version: '1.2.3',
    numbers: () => ({
      ready: true,
      pods: { captured: 3, failed: 1 },
      findings: { error: 2, warning: 0 },
      failedEvents: 0,
      snapshotVersion: 8,
      proxy: { live: 1, opened: 5, failed: 2, refused: 4 },
    }),
  });
  const series = parseMetrics((await registry.render()).text);
  assert.equal(valueOf(series, 'podwire_agent_info', { version: '1.2.3' }), 1);
  assert.equal(valueOf(series, 'podwire_agent_ready'), 1);
  assert.equal(valueOf(series, 'podwire_agent_pods', { state: 'failed' }), 1);
  assert.equal(valueOf(series, 'podwire_agent_findings', { severity: 'error' }), 2);
  assert.equal(valueOf(series, 'podwire_agent_proxy_refused_total'), 4);
  assert.ok(valueOf(series, 'process_resident_memory_bytes') > 1e6);
  assert.ok(valueOf(series, 'process_open_fds') > 2);
  assert.ok(valueOf(series, 'process_cpu_seconds_total') > 0);
});
