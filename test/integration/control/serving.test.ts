/**
 * TLS of control's own server: renewed without a failed call, and trusted by old and new bundles through a rotation.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { DEFAULT_LIVES } from '../../../src/control/ca/authority.ts';
import { registerCertificateMetrics } from '../../../src/control/ca/metrics.ts';
import { createLog } from '../../../src/log.ts';
import { MetricsRegistry } from '../../../src/telemetry/registry.ts';
import { newRequest } from '../../support/certificates.ts';
import { startLab, TRUST_DOMAIN } from './certification-fixture.ts';

const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const agentA = { token: 'agent-a', impersonate: CART };

/** Serial number of what the server presents to a client that trusts `ca`; throws when it does not. */
async function presented(port: number, ca: string, host = 'localhost'): Promise<string> {
  const socket = connect({ port, host, ca, ALPNProtocols: ['h2'] });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}

test('the server’s certificate is renewed at half of its life, and open connections go on', async (t) => {
  const lab = await startLab(t, { lives: { ...DEFAULT_LIVES, serving: 3000 } });
  const client = lab.client();
  const { pem } = await newRequest();
  assert.equal((await client.ask(pem, agentA)).error, undefined);
  const roots = lab.authority.bundle();
  const seen = new Set<string>();
  for (let tries = 0; tries < 25; tries++) {
    seen.add(await presented(lab.port, roots));
    await sleep(200);
  }
  assert.ok(seen.size >= 3, `${seen.size} certificates in five seconds`);
  assert.equal((await client.ask(pem, agentA)).error, undefined);
  await presented(lab.port, roots, '127.0.0.1');
});

test('through a rotation old bundles trust the server, and leaves carry both roots', async (t) => {
  const lab = await startLab(t);
  const before = lab.authority.bundle();
  const old = lab.client();
  await lab.rotate?.();
  const roots = lab.authority.bundle();
  assert.ok(roots.startsWith(before) && roots.length > before.length);
  await presented(lab.port, before);
  await presented(lab.port, roots);
  const { chain } = await old.ask((await newRequest()).pem, agentA);
  assert.equal(chain.at(-1), roots);
});

test('metrics', async (t) => {
  const lab = await startLab(t);
  const registry = new MetricsRegistry({ log: createLog({ level: 'silent', pretty: false }) });
  registerCertificateMetrics({ registry, service: lab.service, authority: lab.authority });
  const { pem } = await newRequest();
  await lab.client().ask(pem, agentA);
  await lab.client().ask(pem, { token: 'unknown' });
  const { text } = await registry.render();
  assert.match(text, /podwire_ca_certificates_issued_total\{kind="workload"\} 1\n/);
  assert.match(text, /podwire_ca_requests_refused_total\{reason="unauthenticated"\} 1\n/);
  assert.match(text, /podwire_ca_expiry_timestamp_seconds 2\d{9}\n/);
});
