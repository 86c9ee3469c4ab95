/**
 * The admission webhook over real TLS: what it admits, denies and warns of, and what it does to clients that misbehave.
 */
import assert from 'node:assert/strict';
import { request } from 'node:https';
import { connect } from 'node:tls';
import { test, type TestContext } from 'node:test';
import { MeshChecks } from '../../../src/control/validate/mesh/mesh-checks.ts';
import { Webhook, type WebhookLimits } from '../../../src/control/webhook/server.ts';
import { createLog } from '../../../src/log.ts';
import { selfSigned } from '../../support/certificate.ts';
import type { AdmissionResponse } from '../../../src/control/webhook/review.ts';

const route = { route: [{ destination: { host: 'web' } }] };

async function webhook(t: TestContext, limits: Partial<WebhookLimits> = {}) {
  const own = selfSigned();
  const checks = new MeshChecks({ domain: 'cluster.local', rootNamespace: 'istio-system' });
  const server = new Webhook({
    ...own,
    host: '127.0.0.1',
    port: 0,
    cluster: undefined,
    preview: (resource) => checks.preview(resource),
    log: createLog({ level: 'silent', pretty: false }),
    limits,
  });
  const port = await server.start();
  t.after(() => server.close());
  return { server, port, own };
}

interface Answer {
  readonly status: number;
  readonly body: { readonly response?: AdmissionResponse };
}

function send(
  { port, own }: { readonly port: number; readonly own: { readonly cert: string } },
  body: string,
  { path = '/validate', method = 'POST' } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const out = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        ca: own.cert,
        servername: 'localhost',
        agent: false,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }),
        );
      },
    );
    out.on('error', reject);
    out.end(method === 'GET' ? undefined : body);
  });
}

const reviewOf = (object: unknown, fields: object = {}): string =>
  JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u-1', operation: 'CREATE', namespace: 'shop', name: 'x', object, ...fields },
  });

const virtualService = (spec: object): object => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: {},
  spec,
});

test('the webhook admits, warns and denies', async (t) => {
  const hook = await webhook(t);
  const ask = async (text: string): Promise<AdmissionResponse> => {
    const { status, body } = await send(hook, text);
    assert.equal(status, 200);
    assert.equal(body.response!.uid, 'u-1');
    return body.response!;
  };

  const unknownHost = await ask(reviewOf(virtualService({ hosts: ['web'], http: [route] })));
  assert.equal(unknownHost.allowed, true);
  assert.match(
    unknownHost.warnings!.join(),
    /web\.shop\.svc\.cluster\.local is no host of the mesh/,
  );

  const misspelt = await ask(reviewOf(virtualService({ hosts: ['web'], htpp: [route] })));
  assert.equal(misspelt.allowed, false);
  assert.equal(misspelt.status!.code, 422);
  assert.match(misspelt.status!.message, /VirtualService shop\/x: spec\.htpp: is no known field/);

  const policy = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: {} };
  const denied = await ask(reviewOf({ ...policy, spec: { action: 'DNEY' } }));
  assert.equal(denied.allowed, false);

  const gone = reviewOf(undefined, { operation: 'DELETE' });
  assert.deepEqual(await ask(gone), { uid: 'u-1', allowed: true });
  const foreign = reviewOf({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: {} });
  assert.deepEqual(await ask(foreign), { uid: 'u-1', allowed: true });
});

test('whatever is no review is refused', async (t) => {
  const hook = await webhook(t, { bodyBytes: 10_000 });
  const status = async (...args: [string, { path?: string; method?: string }?]) =>
    (await send(hook, ...args)).status;
  assert.equal(await status('{'), 400);
  assert.equal(await status('[]'), 400);
  assert.equal(
    await status('{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}'),
    400,
  );
  assert.equal(await status('{}', { path: '/mutate' }), 404);
  assert.equal(await status('', { method: 'GET' }), 405);
  assert.equal(await status(reviewOf({ kind: 'a'.repeat(20_000) })), 413);
  assert.equal(await status(reviewOf({ spec: null })), 200);
});

test('a client that stops talking is cut off, and the certificate can be renewed', async (t) => {
  const hook = await webhook(t, { requestMs: 200 });
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const { port, own } = hook;
    const socket = connect({ port, host: '127.0.0.1', ca: own.cert, servername: 'localhost' }, () =>
      socket.write('POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{'),
    );
    socket
      .on('error', reject)
      .on('close', () => resolve())
      .resume();
  });
  assert.ok(performance.now() - started < 5000);

  const renewed = selfSigned();
  hook.server.renew(renewed);
  await assert.rejects(send(hook, '{}'));
  assert.equal((await send({ ...hook, own: renewed }, '{}')).status, 400);
});
