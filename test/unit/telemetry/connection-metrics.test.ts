import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionMetrics } from '../../../src/telemetry/connection-metrics.ts';
import type { LiveFlow } from '../../../src/telemetry/flow-info.ts';
import { MetricsRegistry } from '../../../src/telemetry/registry.ts';
import { TCP_LABELS } from '../../../src/telemetry/tcp-labels.ts';
import { DB, denied, flow, workload, type Flow } from './flows.ts';
import { parseMetrics, valueOf, type Series } from './metrics-text.ts';

const OPENED = 'istio_tcp_connections_opened_total';
const CLOSED = 'istio_tcp_connections_closed_total';
const SENT = 'istio_tcp_sent_bytes_total';
const RECEIVED = 'istio_tcp_received_bytes_total';
const SOURCE = { reporter: 'source' };

function setUp() {
  let live: LiveFlow[] = [];
  const registry = new MetricsRegistry({ log: { error: assert.fail } });
  const metrics = new ConnectionMetrics({ registry, live: () => live });
  return {
    metrics,
    setLive: (...flows: LiveFlow[]) => {
      live = flows;
    },
    scrape: async (): Promise<Series[]> => parseMetrics((await registry.render()).text),
  };
}

function close(metrics: ConnectionMetrics, one: Flow): void {
  metrics.connectionClosed(metrics.closedSets(one), one);
}

test('the four series are announced before the first connection', async () => {
  const registry = new MetricsRegistry({ log: { error: assert.fail } });
  new ConnectionMetrics({ registry, live: () => [] });
  const { text } = await registry.render();
  for (const name of [OPENED, CLOSED, SENT, RECEIVED]) {
    assert.match(text, new RegExp(`^# TYPE ${name} counter$`, 'm'));
  }
});

test('a connection that ended is one sample per end, with all of Istio’s labels', async () => {
  const { metrics, scrape } = setUp();
  close(metrics, flow(1));
  const series = await scrape();
  const [source, destination, ...more] = series.filter(({ name }) => name === OPENED);
  assert.deepEqual(more, []);
  assert.deepEqual(Object.keys(source!.labels).sort(), [...TCP_LABELS].sort());
  const common = {
    source_workload: 'web',
    source_canonical_service: 'web',
    source_canonical_revision: 'v1',
    source_workload_namespace: 'shop',
    source_principal: 'spiffe://cluster.local/ns/shop/sa/web',
    source_app: 'web',
    source_version: 'v1',
    source_cluster: 'Kubernetes',
    destination_service: 'db.shop.svc.cluster.local',
    destination_service_namespace: 'shop',
    destination_service_name: 'db',
    destination_workload: 'db',
    destination_canonical_service: 'db',
    destination_canonical_revision: 'v1',
    destination_workload_namespace: 'shop',
    destination_principal: 'spiffe://cluster.local/ns/shop/sa/db',
    destination_app: 'db',
    destination_version: 'v1',
    destination_cluster: 'Kubernetes',
    request_protocol: 'tcp',
    response_flags: '-',
  };
  assert.deepEqual(source, {
    name: OPENED,
    labels: { ...common, reporter: 'source', connection_security_policy: 'unknown' },
    value: 1,
  });
  assert.deepEqual(destination, {
    name: OPENED,
    labels: { ...common, reporter: 'destination', connection_security_policy: 'none' },
    value: 1,
  });
});

test('received is client to server and sent is server to client, for both reporters', async () => {
  const { metrics, scrape } = setUp();
  close(metrics, flow(1, { bytesSent: 10, bytesReceived: 3000 }));
  const series = await scrape();
  for (const reporter of ['source', 'destination']) {
    assert.equal(valueOf(series, RECEIVED, { reporter }), 10);
    assert.equal(valueOf(series, SENT, { reporter }), 3000);
  }
});

test('only ends of this node report', async () => {
  const { metrics, scrape } = setUp();
  close(metrics, flow(1, { reporters: ['destination'] }));
  const series = await scrape();
  assert.deepEqual(
    series.filter(({ name }) => name === CLOSED).map(({ labels }) => labels['reporter']),
    ['destination'],
  );
});

test('what is not known is the word unknown', async () => {
  const { metrics, scrape } = setUp();
  const stranger = { address: '192.0.2.1', workload: undefined, identity: '' };
  close(metrics, flow(1, { source: stranger, service: undefined }));
  const [series] = (await scrape()).filter(({ name }) => name === OPENED);
  assert.equal(series!.labels['source_workload'], 'unknown');
  assert.equal(series!.labels['source_principal'], 'unknown');
  assert.equal(series!.labels['destination_service'], 'unknown');
});

test('a proven, encrypted connection is mutual_tls at the destination', async () => {
  const { metrics, scrape } = setUp();
  close(metrics, flow(1, { mutualTls: true }));
  const series = await scrape();
  const labels = { reporter: 'destination', connection_security_policy: 'mutual_tls' };
  assert.equal(valueOf(series, OPENED, labels), 1);
});

test('a live connection is opened once and its bytes grow with each scrape', async () => {
  const { metrics, setLive, scrape } = setUp();
  setLive(flow(1, { bytesSent: 10, bytesReceived: 1 }));
  await scrape();
  setLive(flow(1, { bytesSent: 30, bytesReceived: 1 }));
  let series = await scrape();
  assert.equal(valueOf(series, OPENED, SOURCE), 1);
  assert.equal(valueOf(series, CLOSED, SOURCE), 0);
  assert.equal(valueOf(series, RECEIVED, SOURCE), 30);
  setLive();
  close(metrics, flow(1, { bytesSent: 50, bytesReceived: 7 }));
  series = await scrape();
  assert.equal(valueOf(series, OPENED, SOURCE), 1);
  assert.equal(valueOf(series, CLOSED, SOURCE), 1);
  assert.equal(valueOf(series, RECEIVED, SOURCE), 50);
  assert.equal(valueOf(series, SENT, SOURCE), 7);
});

test('an announced opening is not counted again when the connection is seen', async () => {
  const { metrics, setLive, scrape } = setUp();
  metrics.connectionOpened(flow(1));
  metrics.connectionOpened(flow(1));
  setLive(flow(1));
  assert.equal(valueOf(await scrape(), OPENED, SOURCE), 1);
});

test('a view with fewer bytes than before takes nothing back', async () => {
  const { metrics, setLive, scrape } = setUp();
  setLive(flow(1, { bytesSent: 500 }));
  await scrape();
  setLive(flow(1, { bytesSent: 400 }));
  assert.equal(valueOf(await scrape(), RECEIVED, SOURCE), 500);
  close(metrics, flow(1, { bytesSent: 450 }));
  assert.equal(valueOf(await scrape(), RECEIVED, SOURCE), 500);
});

test('a socket that lingers behind its event is no new connection', async () => {
  const { metrics, setLive, scrape } = setUp();
  close(metrics, flow(1));
  setLive(flow(1));
  await scrape();
  const series = await scrape();
  assert.equal(valueOf(series, OPENED, SOURCE), 1);
  assert.equal(valueOf(series, CLOSED, SOURCE), 1);
});

test('the events of one connection count once', async () => {
  const { metrics, scrape } = setUp();
  close(metrics, flow(1));
  close(metrics, flow(1));
  assert.equal(valueOf(await scrape(), CLOSED, SOURCE), 1);
});

test('a connection whose event was lost counts as closed at the second scrape without it', async () => {
  const { setLive, scrape } = setUp();
  setLive(flow(1));
  await scrape();
  setLive();
  assert.equal(valueOf(await scrape(), CLOSED, SOURCE), 0);
  const series = await scrape();
  assert.equal(valueOf(series, CLOSED, SOURCE), 1);
  assert.equal(valueOf(series, OPENED, SOURCE), 1);
});

test('without scrapes memory stays bounded', () => {
  const registry = new MetricsRegistry({ log: { error: assert.fail } });
  let asked = 0;
  const metrics = new ConnectionMetrics({ registry, live: () => ((asked += 1), []) });
  for (let id = 1; id <= 200_000; id++) {
    close(metrics, flow(id));
    if (id % 1000 === 0) metrics.delivered();
  }
  assert.equal(asked, 3);
});

test('events that arrive while the live ones are asked for are counted', async () => {
  const registry = new MetricsRegistry({ log: { error: assert.fail } });
  let pending = [flow(1), flow(2)];
  const metrics: ConnectionMetrics = new ConnectionMetrics({
    registry,
    live: () => {
      for (const one of pending.splice(0)) close(metrics, one);
      return [flow(2)];
    },
  });
  let series = parseMetrics((await registry.render()).text);
  assert.equal(valueOf(series, OPENED, SOURCE), 2);
  pending = [];
  series = parseMetrics((await registry.render()).text);
  assert.equal(valueOf(series, OPENED, SOURCE), 2);
  assert.equal(valueOf(series, CLOSED, SOURCE), 2);
});

test('connections of pods of one workload share a series; of another identity they do not', async () => {
  const { metrics, scrape } = setUp();
  const second = workload('web', '10.0.0.7', { uid: 'Kubernetes//Pod/shop/web-2', name: 'web-2' });
  const { source } = flow(0);
  close(metrics, flow(1));
  close(metrics, flow(2, { source: { ...source, workload: second } }));
  close(metrics, flow(3, { source: { ...source, identity: 'spiffe://x/ns/a/sa/b' } }));
  const values = (await scrape())
    .filter(({ name, labels }) => name === OPENED && labels['reporter'] === 'source')
    .map(({ value }) => value);
  assert.deepEqual(
    values.toSorted((a, b) => a - b),
    [1, 2],
  );
});

for (const [reason, flags] of [
  ['policy', 'DENY'],
  ['identity-unknown', 'DENY'],
  ['no-endpoint', 'CONNECT'],
  ['connection-limit', 'UO'],
] as const) {
  test(`a connection refused for ${reason} is opened and closed with ${flags}`, async () => {
    const { metrics, scrape } = setUp();
    metrics.connectionDenied(metrics.deniedSets(denied(reason)));
    const series = await scrape();
    const labels = { reporter: 'destination', response_flags: flags };
    assert.equal(valueOf(series, OPENED, labels), 1);
    assert.equal(valueOf(series, CLOSED, labels), 1);
    assert.equal(valueOf(series, RECEIVED, labels), 0);
  });
}

test('label values are escaped', async () => {
  const { metrics, scrape } = setUp();
  const odd = workload('db', '10.0.0.2', { workloadName: 'a"b\\c\nd' });
  close(metrics, flow(1, { destination: { ...flow(1).destination, workload: odd } }));
  const [series] = (await scrape()).filter(({ name }) => name === OPENED);
  assert.equal(series!.labels['destination_workload'], 'a\\"b\\\\c\\nd');
  assert.equal(DB.workloadName, 'db');
});
