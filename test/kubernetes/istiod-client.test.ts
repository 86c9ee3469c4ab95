/**
 * The agent's xDS client against istiod over TLS, with a pod's token: what changes arrives, what goes is removed, and
 * nothing is lost when istiod dies.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCodec, type Codec } from '../../src/xds/codec.ts';
import { installIstioKinds, startIstiod, type Istiod } from '../support/istiod.ts';
import { startKubernetes, type Kubernetes } from '../support/kubernetes.ts';
import { startClient, uid, type ClientUnderTest } from '../support/xds-client.ts';
import { create, createNamespace, merge, remove, runPod, type Created } from './objects.ts';

const DEFAULT = '/api/v1/namespaces/default';
const POLICIES = '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies';
const WEB = 'default/web.default.svc.cluster.local';

let kubernetes: Kubernetes;
let istiod: Istiod;
/** a pod of the client's node */
let local: Created;

before(async () => {
  kubernetes = await startKubernetes();
  await installIstioKinds(kubernetes);
  istiod = await startIstiod(kubernetes);
  const { admin } = kubernetes;
  await createNamespace(admin, 'default', { 'istio.io/dataplane-mode': 'ambient' });
  await runPod(admin, 'default', 'a', '10.1.0.1', { labels: { app: 'web' } });
  await create(admin, `${DEFAULT}/serviceaccounts`, { metadata: { name: 'local' } });
  local = await runPod(admin, 'default', 'local', '10.1.0.9', {
    serviceAccount: 'local',
    node: 'n1',
  });
  await create(admin, `${DEFAULT}/services`, service('web', '10.96.1.1'));
  await create(admin, POLICIES, deny('not-bob', 'bob'));
});
after(async () => {
  await istiod?.stop();
  await kubernetes?.stop();
});

function service(name: string, clusterIP: string) {
  return {
    metadata: { name },
    spec: { clusterIP, selector: { app: 'web' }, ports: [{ port: 80 }] },
  };
}

function deny(name: string, account: string) {
  const principals = [`cluster.local/ns/default/sa/${account}`];
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name },
    spec: { action: 'DENY', rules: [{ from: [{ source: { principals } }] }] },
  };
}

async function start(
  t: TestContext,
  more: Partial<Parameters<typeof startClient>[0]> = {},
): Promise<ClientUnderTest> {
  const client = startClient({ ...istiod.client('n1'), ...more });
  t.after(() => client.client.close());
  return client;
}

async function complete(client: ClientUnderTest): Promise<ClientUnderTest> {
  await client.until('complete', () => client.store.incomplete === undefined);
  return client;
}

const pushesOf = ({ client }: ClientUnderTest): number =>
  client.status().types.reduce((sum, { pushes }) => sum + pushes, 0);

const refusedOf = ({ client }: ClientUnderTest): string[] =>
  client.status().types.flatMap(({ refused }) => refused.map(({ name }) => name));

test('changes and removals arrive, and nothing is refused', async (t) => {
  const { admin } = kubernetes;
  const client = await complete(await start(t));
  const { store, until } = client;
  assert.equal(store.current.workloads.get(uid('a'))?.services.has(WEB), true);

  await runPod(admin, 'default', 'b', '10.1.0.2', { labels: { app: 'web' } });
  await until('b', () => store.current.endpoints.get(WEB)?.has(uid('b')) === true);
  await admin.call(`${DEFAULT}/pods/b`, merge({ metadata: { labels: { app: 'other' } } }));
  await until('b is no endpoint', () => store.current.endpoints.get(WEB)?.has(uid('b')) === false);
  await remove(admin, `${DEFAULT}/pods/b`);
  await until('b is gone', () => !store.current.workloads.has(uid('b')));

  const before = store.current.authorizations.get('default/not-bob');
  await admin.call(`${POLICIES}/not-bob`, merge({ spec: deny('', 'mallory').spec }));
  await until('the policy', () => store.current.authorizations.get('default/not-bob') !== before);
  await create(admin, POLICIES, deny('extra', 'eve'));
  await until('another', () => store.current.authorizations.has('default/extra'));
  await remove(admin, `${POLICIES}/extra`);
  await until('it is gone', () => !store.current.authorizations.has('default/extra'));
  assert.deepEqual(refusedOf(client), []);
});

test('attaching and removing a policy leaves no pod with a policy that is not there', async (t) => {
  const { admin } = kubernetes;
  const client = await complete(await start(t));
  const { store, until } = client;
  const body = deny('by-label', 'eve');
  const selecting = { ...body, spec: { ...body.spec, selector: { matchLabels: { app: 'web' } } } };
  const lacking = new Set<string>();
  const stop = store.subscribe(({ workloads, authorizations }) => {
    for (const { authorizationPolicies } of workloads.values()) {
      for (const name of authorizationPolicies) if (!authorizations.has(name)) lacking.add(name);
    }
  });
  t.after(stop);
  const named = () => store.current.workloads.get(uid('a'))?.authorizationPolicies.length;
  for (let round = 0; round < 10; round++) {
    await create(admin, POLICIES, selecting);
    await until('it is named', () => named() === 1);
    await remove(admin, `${POLICIES}/by-label`);
    await until('it is named no more', () => named() === 0);
  }
  assert.deepEqual([...lacking], []);
});

test('istiod killed and started again: nothing is lost, what changed meanwhile is known', async (t) => {
  const { admin } = kubernetes;
  await runPod(admin, 'default', 'doomed', '10.1.0.3', { labels: { app: 'web' } });
  const client = await complete(await start(t));
  const { store, until } = client;
  await until('doomed', () => store.current.workloads.has(uid('doomed')));
  await istiod.stop();
  await until('it is noticed', () => client.client.status().servers[0]?.state !== 'up');
  const held = [store.current.workloads.size, store.current.services.size];
  await remove(admin, `${DEFAULT}/pods/doomed`);
  await runPod(admin, 'default', 'newborn', '10.1.0.4');
  let least = held[0]!;
  const watch = setInterval(() => (least = Math.min(least, store.current.workloads.size)), 1);
  t.after(() => clearInterval(watch));
  await sleep(300);
  assert.deepEqual([store.current.workloads.size, store.current.services.size], held);
  await istiod.start();
  await until('newborn', () => store.current.workloads.has(uid('newborn')), 30_000);
  await until('doomed is gone', () => !store.current.workloads.has(uid('doomed')));
  // One came and one went: at no time were there fewer than before without the one that went.
  assert.ok(least >= held[0]! - 1, `${least} of ${held[0]!}`);
  assert.equal(store.current.services.has(WEB), true);
  assert.equal(store.current.authorizations.has('default/not-bob'), true);
  assert.ok(client.client.status().servers[0]!.reconnects > 0);
  await remove(admin, `${DEFAULT}/pods/newborn`);
});

test('who is not an agent is turned away, and says why', async (t) => {
  const wrong = join(kubernetes.folder, 'wrong-token');
  const turnedAway = async (channel: Partial<ReturnType<Istiod['client']>['channel']>) => {
    const { channel: right } = istiod.client('n1');
    const client = await start(t, { channel: { ...right, ...channel } });
    const error = (): string => client.client.status().servers[0]?.error ?? '';
    await client.until('an error', () => error() !== '');
    assert.notEqual(client.store.incomplete, undefined);
    return error();
  };
  await t.test('a token for another audience', async () => {
    writeFileSync(
      wrong,
      await kubernetes.createToken('istio-system', 'ztunnel', { audience: 'x' }),
    );
    assert.match(await turnedAway({ tokenFile: wrong }), /authentication failure/i);
  });
  await t.test('a token of another namespace', async () => {
    const boundPod = { name: 'local', uid: local.metadata.uid };
    writeFileSync(wrong, await kubernetes.createToken('default', 'local', { boundPod }));
    assert.match(await turnedAway({ tokenFile: wrong }), /authorization failed|no identities/i);
  });
  await t.test('no token', async () => {
    assert.match(await turnedAway({ tokenFile: undefined }), /authentication failure/i);
  });
  await t.test('another root', async () => {
    const rootFile = join(kubernetes.folder, 'apiserver.crt');
    assert.match(await turnedAway({ rootFile }), /certificate/i);
  });
});

test('a resource that is refused keeps its last good version, the rest applies, and it heals', async (t) => {
  const { admin } = kubernetes;
  const state = { broken: false };
  const client = await complete(await start(t, { codec: choosy(() => state.broken) }));
  const { store, until } = client;
  const good = store.current.authorizations.get('default/not-bob');
  state.broken = true;
  await admin.call(`${POLICIES}/not-bob`, merge({ spec: deny('', 'broken').spec }));
  await create(admin, POLICIES, deny('fine', 'eve'));
  await until('the refusal', () => refusedOf(client).includes('default/not-bob'));
  await until('the other', () => store.current.authorizations.has('default/fine'));
  assert.equal(store.current.authorizations.get('default/not-bob'), good);
  // istiod does not send a refused policy again before it changes, and does not end the stream.
  const { reconnects } = client.client.status().servers[0]!;
  const pushes = pushesOf(client);
  await sleep(500);
  assert.ok(pushesOf(client) - pushes < 5, 'no storm of pushes');
  state.broken = false;
  await admin.call(`${POLICIES}/not-bob`, merge({ spec: deny('', 'mended').spec }));
  await until('it heals', () => store.current.authorizations.get('default/not-bob') !== good);
  assert.deepEqual(refusedOf(client), []);
  assert.equal(client.client.status().servers[0]!.reconnects, reconnects);
  await remove(admin, `${POLICIES}/fine`);
});

/** A codec that cannot read the policy "not-bob" while `broken`. */
function choosy(broken: () => boolean): Codec {
  const codec = createCodec();
  const { authorization } = codec;
  const decode: typeof authorization.decode = (bytes) => {
    const message = authorization.decode(bytes);
    if (broken() && message.name === 'not-bob') throw new Error('not today');
    return message;
  };
  return { ...codec, authorization: { ...authorization, decode } };
}

/** istiod has nothing but the pods of the node there, which is why the client asks for deltas as long as it can. */
test('state of the world: istiod answers every answer, the client’s stay few', async (t) => {
  const client = await complete(await start(t, { protocol: 'sotw' }));
  const { store } = client;
  await client.until('the pod of the node', () => store.current.workloads.has(uid('local')));
  assert.equal(client.client.status().servers[0]?.protocol, 'sotw');
  const before = pushesOf(client);
  await sleep(2000);
  const pushes = pushesOf(client) - before;
  t.diagnostic(`${pushes} pushes in 2 s`);
  assert.ok(pushes <= 12, `${pushes} pushes in 2 s`);
  assert.deepEqual(refusedOf(client), []);
});

test(
  'on demand: what is asked for is known, what is nobody’s is answered too',
  { timeout: 20_000 },
  async (t) => {
    const client = await complete(await start(t, { onDemand: true }));
    const { store } = client;
    const known = (): string[] => [...store.current.workloads.keys()].sort();
    const lookup = async (ip: string): Promise<void> => {
      await Promise.all(client.client.lookup([`/${ip}`]));
    };
    assert.deepEqual(known(), [uid('local')], 'istiod tells of the node’s own pods unasked');
    await lookup('10.1.0.1');
    assert.deepEqual(known(), [uid('a'), uid('local')]);
    await lookup('10.1.0.250');
    assert.deepEqual(known(), [uid('a'), uid('local')]);
    const labels = { version: 'v2' };
    await kubernetes.admin.call(`${DEFAULT}/pods/a`, merge({ metadata: { labels } }));
    const revision = () => store.current.workloads.get(uid('a'))?.canonicalRevision;
    await client.until('its changes', () => revision() === 'v2');

    await lookup('10.96.1.1');
    await client.until('the Service', () => store.current.services.has(WEB));
    await client.until('its endpoints', () => store.current.endpoints.get(WEB)?.size === 1);
    assert.equal(client.client.forgets, false, 'istiod would remove everything else');
  },
);
