/**
 * The client against a foreign server (go-control-plane), in both variants of the protocol.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ADDRESS_TYPE_URL, encodeAddress } from '../../../src/xds/resources/address.ts';
import { AUTHORIZATION_TYPE_URL } from '../../../src/xds/resources/authorization.ts';
import { ControlPlane } from '../../support/control-plane.ts';
import { codec, pod, policy, serverAt, startClient, uid } from '../../support/xds-client.ts';

for (const variant of ['delta', 'sotw'] as const) {
  suite(`go-control-plane, ${variant}`, () => {
    test('whole mesh, changes, removals', async (t) => {
      const server = await ControlPlane.start();
      t.after(() => server.kill());
      const { client, store, updates, until } = startClient({
        servers: [serverAt(server.port)],
        protocol: variant,
      });
      t.after(() => client.close());
      await until('an empty mesh is one', () => store.incomplete === undefined);
      await server.serve({ addresses: [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')] });
      await until('both pods', () => store.current.workloads.size === 2);
      await server.serve({ authorizations: [policy('p')] });
      await until('the policy', () => store.current.authorizations.has('default/p'));
      const before = updates.length;
      await server.serve({ addresses: [pod('b', '10.0.0.9'), pod('c', '10.0.0.3')] });
      await until('a is gone', () => !store.current.workloads.has(uid('a')));
      assert.deepEqual(store.current.workloads.get(uid('b'))?.addresses, ['10.0.0.9']);
      assert.ok(store.current.workloads.has(uid('c')));
      assert.equal(updates.length, before + 1, 'one change, one step');
      const types = client.status().types.slice(0, 2);
      assert.deepEqual(
        types.map(({ type, resources, rejects }) => ({ type, resources, rejects })),
        [
          { type: 'addresses', resources: 2, rejects: 0 },
          { type: 'authorizations', resources: 1, rejects: 0 },
        ],
      );
      const requests = await server.requests();
      assert.deepEqual(
        requests.slice(0, 2).map(({ type }) => type),
        [ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL],
      );
      assert.equal(
        requests[0]?.node?.id,
        'ztunnel~1.1.1.1~agent.podwire~podwire.svc.cluster.local',
      );
      assert.equal(requests[0]?.node?.metadata['X'], 'y');
    });

    test('what is bad is refused by name, and the rest applies', async (t) => {
      const server = await ControlPlane.start();
      t.after(() => server.kill());
      await server.serve({
        addresses: [pod('a', '10.0.0.1'), pod('b', '10.0.0.2')],
        authorizations: [policy('p')],
      });
      const { client, store, until } = startClient({
        servers: [serverAt(server.port)],
        protocol: variant,
      });
      t.after(() => client.close());
      await until('both pods', () => store.current.workloads.size === 2);
      const a = Buffer.from([10, 3, 0xa2, 0x01, 0]).toString('base64'); // a workload with an empty uid
      const good = encoded(pod('c', '10.0.0.3'));
      await server.serveBytes({
        [ADDRESS_TYPE_URL]: {
          [uid('a')]: a,
          [uid('c')]: good,
          [uid('b')]: encoded(pod('b', '10.0.0.2')),
        },
      });
      await until('the good one', () => store.current.workloads.has(uid('c')));
      const kept = store.current.workloads.get(uid('a'));
      assert.deepEqual(kept?.addresses, ['10.0.0.1'], 'the last good one');
      await until('the refusal is known', () => client.status().types[0]!.refused.length === 1);
      const refused = client.status().types[0]!.refused[0]!;
      assert.match(refused.reason, /^workload\.uid: is missing/);
      if (variant === 'delta') assert.equal(refused.name, uid('a'));
      else assert.match(refused.name, /^resources\[\d\]$/);
      await untilAsync(async () =>
        (await server.requests()).some(({ error }) => error.includes('workload.uid: is missing')),
      );
      // This server meets a NACK in the state of the world by sending the same again.
      await sleep(300);
      assert.ok(client.status().types[0]!.rejects < 10);
      // The version of what was refused is not remembered: after a reconnect the server sends it again.
      if (variant === 'delta') {
        await server.endStreams();
        await until('a second stream', () => client.status().servers[0]!.reconnects === 1);
        await untilAsync(async () => {
          const firsts = (await server.requests()).filter(
            ({ type, node }) => type === ADDRESS_TYPE_URL && node !== undefined,
          );
          return firsts.length === 2;
        });
        await until('refused again', () => client.status().types[0]!.rejects === 2);
      }
    });

    test('streams that end are begun again, and nothing is lost', async (t) => {
      const server = await ControlPlane.start();
      t.after(() => server.kill());
      await server.serve({ addresses: [pod('a', '10.0.0.1')], authorizations: [policy('p')] });
      const { client, store, until, updates } = startClient({
        servers: [serverAt(server.port)],
        protocol: variant,
      });
      t.after(() => client.close());
      await until('a', () => store.current.workloads.size === 1);
      for (let round = 1; round <= 5; round++) {
        await server.endStreams();
        await until('again', () => client.status().servers[0]!.reconnects === round);
        await server.serve({ addresses: [pod('a', '10.0.0.1'), pod(`n${round}`, '10.0.0.2')] });
        await until('the change', () => store.current.workloads.has(uid(`n${round}`)));
      }
      assert.equal(store.current.workloads.size, 2);
      for (const { addresses } of updates) {
        assert.ok(!addresses?.removals.includes(uid('a')), 'a was never away');
      }
      if (variant === 'delta') {
        const resumed = (await server.requests()).filter(
          ({ type, versions }) => type === ADDRESS_TYPE_URL && versions?.[uid('a')],
        );
        assert.equal(resumed.length, 5, 'with the versions it has');
      }
    });
  });
}

test('a server that knows no delta is spoken to in the other variant', async (t) => {
  const server = await ControlPlane.start(['-delta=false']);
  t.after(() => server.kill());
  await server.serve({ addresses: [pod('a', '10.0.0.1')], authorizations: [policy('p')] });
  const { client, store, until } = startClient({ servers: [serverAt(server.port)] });
  t.after(() => client.close());
  await until('a', () => store.current.workloads.size === 1);
  assert.equal(client.status().servers[0]!.protocol, 'sotw');
});

test('a server to which the list of what is held is too long gets none, and removals still work', async (t) => {
  const server = await ControlPlane.start(['-max-receive=20000']);
  t.after(() => server.kill());
  const many = Array.from({ length: 1000 }, (_, i) => pod(`p${i}`, '10.1.0.1'));
  await server.serve({ addresses: many, authorizations: [policy('p')] });
  const { client, store, updates, until } = startClient({ servers: [serverAt(server.port)] });
  t.after(() => client.close());
  await until('all', () => store.current.workloads.size === 1000);
  await server.endStreams();
  await until('a stream that works', () => client.status().servers[0]!.reconnects === 2);
  await server.serve({ addresses: many.slice(1) });
  await until('one less', () => store.current.workloads.size === 999);
  const removed = updates.flatMap(({ addresses }) => addresses?.removals ?? []);
  assert.deepEqual(removed, [uid('p0')]);
});

function encoded(address: ReturnType<typeof pod>): string {
  return Buffer.from(encodeAddress(codec, address)).toString('base64');
}

async function untilAsync(is: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await is())) {
    assert.ok(performance.now() < deadline, 'not within 10 s');
    await sleep(20);
  }
}
