/**
 * A machine outside Kubernetes joins by a token, renews by its certificate, and nobody does so in its place.
 */
import assert from 'node:assert/strict';
import { KeyObject, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { DEFAULT_LIVES } from '../../../src/control/ca/authority.ts';
import { newKeys, newRequest, type Request } from '../../support/certificates.ts';
import { type Lab, startLab, TRUST_DOMAIN } from './certification-fixture.ts';

const DB = `spiffe://${TRUST_DOMAIN}/ns/legacy/sa/db`;
const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const VM = {
  name: 'vm-1',
  identities: [{ namespace: 'legacy', serviceAccount: 'db' }],
  ttlMs: 60_000,
};

function own({ privateKey }: Request, chain: readonly string[]) {
  const key = KeyObject.from(privateKey).export({ format: 'pem', type: 'pkcs8' }).toString();
  return { key, chain: chain.slice(0, -1).join('') };
}

async function joined(lab: Lab) {
  const token = await lab.registry.create(VM);
  const request = await newRequest();
  const { chain, error } = await lab.client().ask(request.pem, { token });
  assert.equal(error, undefined);
  return { token, request, chain, client: lab.client(own(request, chain)) };
}

async function refused(answer: Promise<{ error: { code: status } | undefined }>): Promise<void> {
  assert.equal((await answer).error?.code, status.UNAUTHENTICATED);
}

test('a token buys a node’s certificate, which renews itself and gets the node’s identities', async (t) => {
  const lab = await startLab(t);
  const { client, chain, request } = await joined(lab);
  const { subjectAltName, keyUsage, ca } = new X509Certificate(chain[0] ?? '');
  assert.equal(subjectAltName, `URI:spiffe://${TRUST_DOMAIN}/node/vm-1`);
  assert.deepEqual(keyUsage, ['1.3.6.1.5.5.7.3.2']);
  assert.equal(ca, false);
  const db = await client.ask((await newRequest()).pem, { impersonate: DB });
  assert.equal(new X509Certificate(db.chain[0] ?? '').subjectAltName, `URI:${DB}`);
  await refused(client.ask(request.pem, { impersonate: CART }));
  const next = await newRequest();
  const renewed = await client.ask(next.pem);
  assert.equal(new X509Certificate(renewed.chain[0] ?? '').subjectAltName, subjectAltName);
  const again = await lab.client(own(next, renewed.chain)).ask(request.pem, { impersonate: DB });
  assert.equal(again.error, undefined);
});

test('the same key may come again after a lost answer; another key is refused and logged', async (t) => {
  const lab = await startLab(t);
  const keys = await newKeys();
  const token = await lab.registry.create(VM);
  const first = await lab.client().ask((await newRequest({ keys })).pem, { token });
  const second = await lab
    .client()
    .ask((await newRequest({ keys, subject: 'CN=x' })).pem, { token });
  assert.equal(first.error ?? second.error, undefined);
  await refused(lab.client().ask((await newRequest()).pem, { token }));
  assert.ok(
    lab.lines.some((line) => /join token .* of node vm-1 .* stolen/.test(line)),
    lab.lines.join('\n'),
  );
  assert.ok(!lab.lines.some((line) => line.includes(token)), 'the log has no secrets');
  // a request that was refused for its form has spent nothing
  const fresh = await lab.registry.create({ ...VM, name: 'vm-2' });
  await lab.client().ask('nonsense', { token: fresh });
  assert.equal(
    (await lab.client().ask((await newRequest()).pem, { token: fresh })).error,
    undefined,
  );
});

test('a join token does nothing but join: no other identity, no mesh', async (t) => {
  const lab = await startLab(t);
  const token = await lab.registry.create(VM);
  const { pem } = await newRequest({ uris: [CART] });
  await refused(lab.client().ask(pem, { token, impersonate: DB }));
  await refused(lab.client().ask(pem, { token, impersonate: CART }));
  await refused(
    lab
      .client()
      .ask(pem, { token, impersonate: `spiffe://${TRUST_DOMAIN}/ns/podwire-system/sa/podwire` }),
  );
  const caller = await lab.authenticator.authenticate({ token, certificate: undefined });
  assert.equal(lab.rules.mayReadMesh(caller), false);
});

test('a node that was revoked, or joined anew, is out at once, on open connections too', async (t) => {
  const lab = await startLab(t);
  const first = await joined(lab);
  const { pem } = await newRequest();
  const second = await joined(lab);
  await refused(first.client.ask(pem, { impersonate: DB }));
  await refused(first.client.ask(pem));
  await refused(lab.client().ask(first.request.pem, { token: first.token }));
  assert.equal((await second.client.ask(pem, { impersonate: DB })).error, undefined);
  await lab.registry.revoke('vm-1');
  await refused(second.client.ask(pem, { impersonate: DB }));
  await refused(second.client.ask(pem));
});

test('a workload’s certificate opens nothing, nor does one of another CA', async (t) => {
  const lab = await startLab(t);
  const workload = await newRequest();
  const { chain } = await lab.client().ask(workload.pem, { token: 'agent-a', impersonate: CART });
  await refused(lab.client(own(workload, chain)).ask(workload.pem, { impersonate: CART }));
  assert.match(lab.lines.at(-1) ?? '', /not one of a client|of no node/);

  const foreign = await startLab(t);
  const theirs = await joined(foreign);
  await lab.registry.create(VM);
  const client = lab.client(own(theirs.request, theirs.chain));
  await refused(client.ask(workload.pem));
  // the same, past TLS
  const certificate = new X509Certificate(theirs.chain[0] ?? '').raw;
  const mine = await joined(lab);
  await assert.rejects(
    lab.authenticator.authenticate({ token: undefined, certificate }),
    /not ours/,
  );
  const ours = new X509Certificate(mine.chain[0] ?? '').raw;
  const caller = await lab.authenticator.authenticate({ token: undefined, certificate: ours });
  assert.deepEqual([caller.node, caller.credential], ['vm-1', 'certificate']);
  assert.equal(lab.rules.mayReadMesh(caller), true);
});

test('a certificate that ends ends its open connection’s rights', async (t) => {
  const lab = await startLab(t, { lives: { ...DEFAULT_LIVES, node: 3000 } });
  const { client, request } = await joined(lab);
  assert.equal((await client.ask(request.pem, { impersonate: DB })).error, undefined);
  await sleep(4000);
  await refused(client.ask(request.pem, { impersonate: DB }));
});
