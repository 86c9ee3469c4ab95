import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startMetricsServer } from '../../../src/admin/metrics-server.ts';
import { PodwireError } from '../../../src/errors.ts';
import { MetricsRegistry } from '../../../src/telemetry/registry.ts';
import { ask, raw, SILENT } from './fixture.ts';

async function page(t: TestContext, host = '127.0.0.1') {
  const readiness = { ready: false, blockers: ['kernel', 'mesh'] as string[] };
  const registry = new MetricsRegistry({ log: SILENT });
  const server = await startMetricsServer({
    listen: { host, port: 0 },
    metrics: () => registry.render(),
    readiness: () => readiness,
    log: SILENT,
  });
  t.after(() => server.close());
  const port = Number(server.address.slice(server.address.lastIndexOf(':') + 1));
  return { server, readiness, target: { host, port } };
}

test('/metrics is Prometheus text', async (t) => {
  const { target } = await page(t);
  const { status, headers, body } = await ask(target, '/metrics');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.match(body, /^podwire_agent_scrape_failures_total 0$/m);
});

test('/healthz/ready names what blocks, and is 200 once nothing does', async (t) => {
  const { target, readiness } = await page(t);
  const waiting = await ask(target, '/healthz/ready');
  assert.equal(waiting.status, 503);
  assert.equal(waiting.body, 'not ready: kernel, mesh\n');
  readiness.ready = true;
  assert.equal((await ask(target, '/healthz/ready')).status, 200);
  assert.equal((await ask(target, '/healthz/live')).status, 200);
});

for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
  test(`${method} over TCP is refused`, async (t) => {
    const { target } = await page(t);
    const answer = await ask(target, '/metrics', { method });
    assert.equal(answer.status, 405);
    assert.equal(answer.headers['allow'], 'GET');
  });
}

for (const path of ['/v1/status', '/v1/shutdown', '/v1/config_dump', '/']) {
  test(`nothing of the admin API is there: ${path}`, async (t) => {
    const { target } = await page(t);
    for (const method of ['GET', 'POST']) {
      assert.equal((await ask(target, path, { method })).status, 404);
    }
  });
}

for (const [host, status] of [
  ['localhost:15020', 200],
  ['LOCALHOST', 200],
  ['127.0.0.1:15020', 200],
  ['10.1.2.3', 200],
  ['[::1]:15020', 200],
  ['evil.example', 403],
  ['evil.example:15020', 403],
  ['127.0.0.1.evil.example', 403],
  ['localhost.evil.example', 403],
  ['localhost:15020@evil.example', 403],
  ['[::1', 403],
  ['::1:15020', 403],
] as const) {
  test(`Host '${host}' is ${status}`, async (t) => {
    const { target } = await page(t);
    assert.equal((await ask(target, '/metrics', { headers: { host } })).status, status);
  });
}

for (const [what, head] of [
  ['an empty Host', 'GET /metrics HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n'],
  ['no Host (HTTP/1.0)', 'GET /metrics HTTP/1.0\r\n\r\n'],
] as const) {
  test(`${what} is refused`, async (t) => {
    const { target } = await page(t);
    assert.match(await raw(target, head), /^HTTP\/1\.1 403 /);
  });
}

test('two Host headers are refused', async (t) => {
  const { target } = await page(t);
  const answer = await raw(
    target,
    'GET /metrics HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 40[03] /);
});

test('IPv6 addresses are written with brackets', async (t) => {
  const { server } = await page(t, '::1');
  assert.match(server.address, /^\[::1\]:[0-9]+$/);
});

test('an address that is taken is an error that names the option', async (t) => {
  const { target } = await page(t);
  await assert.rejects(
    startMetricsServer({
      listen: target,
      metrics: () => Promise.resolve({ contentType: '', text: '' }),
      readiness: () => ({ ready: true, blockers: [] }),
      log: SILENT,
    }),
    (error) =>
      error instanceof PodwireError &&
      error.code === 'ERR_BAD_OPTION' &&
      error.message.startsWith('--metrics '),
  );
});

test('closing twice is fine, and nobody answers then', async (t) => {
  const { server, target } = await page(t);
  await Promise.all([server.close(), server.close()]);
  await assert.rejects(ask(target, '/metrics'), { code: 'ECONNREFUSED' });
});
