/**
 * Waypoints that an xDS server names, with Envoy as the waypoint: what is dialled arrives there as the authority, and nothing
 * goes past a waypoint.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseIp } from '../../src/model/ip.ts';
import type { Address } from '../../src/model/messages.ts';
import type { GatewayAddress } from '../../src/model/gateway-address.ts';
import type { Workload } from '../../src/model/workload.ts';
import { ENVOY_MISSING, findEnvoy } from '../bench/envoy.ts';
import { startAgent } from '../support/agent.ts';
import { ControlPlane } from '../support/control-plane.ts';
import { envoyHboneServer } from '../support/envoy-hbone.ts';
import { givenCa } from '../support/issuing-ca.ts';
import { credentials } from '../support/leaf-credentials.ts';
import { createMesh } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { idOf, startPuppet, until } from '../support/puppet.ts';
import { refusal, untilSpeaks } from '../support/two-nodes.ts';
import { pod } from '../support/xds-client.ts';
import { service } from '../support/xds-service.ts';

const envoy = findEnvoy(process.env);
const skip =
  skipReason('python3', 'openssl', 'go') || (envoy === undefined ? ENVOY_MISSING : false);
const PORT = 8080;
const HBONE = 15008;
const [VIP, WAYPOINT_VIP] = ['198.18.0.1', '198.18.0.2'];
const ID = 'spiffe://cluster.local/ns/default/sa';
const HOST = 'default.svc.cluster.local';
const UNCAPTURED = { 'istio.io/dataplane-mode': 'none' };

interface Said {
  /** of the Service that is dialled */
  readonly service?: GatewayAddress;
  /** of the pod that is dialled */
  readonly workload?: GatewayAddress;
  /** changes of the first waypoint's pod; null: it is gone */
  readonly waypoint?: Partial<Workload> | null;
}

test('waypoints', { skip }, async (t) => {
  const mesh = createMesh(t, {
    pods: [
      { name: 'client' },
      ...['server', 'gate', 'guard'].map((name) => ({ name, labels: UNCAPTURED })),
    ],
  });
  const { ca, files } = await givenCa(t);
  const plane = await ControlPlane.start();
  mesh.defer(() => plane.kill());
  const [client, server] = await Promise.all(
    ['client', 'server'].map((name) => startPuppet(mesh, mesh.pod(name))),
  );
  const { v4: to } = mesh.pod('server');
  const listener = await server!.listen(to, PORT);
  const viaGate: GatewayAddress = { service: `default/gate.${HOST}`, port: HBONE };
  const viaGuard: GatewayAddress = { address: parseIp(mesh.pod('guard').v4)!, port: HBONE };

  const say = async ({ service: ofService, workload, waypoint }: Said): Promise<void> => {
    const web = service('web', VIP);
    const gate = service('gate', WAYPOINT_VIP);
    const native = { tunnelProtocol: 'HBONE', nativeTunnel: true } as const;
    const addresses: Address[] = [
      { ...web, service: { ...web.service, ...(ofService && { waypoint: ofService }) } },
      { ...gate, service: { ...gate.service, ports: [{ servicePort: HBONE, targetPort: HBONE }] } },
      pod('client', mesh.pod('client').v4, { tunnelProtocol: 'HBONE' }),
      pod('server', to, {
        services: new Map([[`default/web.${HOST}`, [{ servicePort: 80, targetPort: PORT }]]]),
        ...(workload && { waypoint: workload }),
      }),
      pod('guard', mesh.pod('guard').v4, native),
    ];
    if (waypoint !== null) {
      const services = new Map([
        [`default/gate.${HOST}`, [{ servicePort: HBONE, targetPort: HBONE }]],
      ]);
      addresses.push(pod('gate', mesh.pod('gate').v4, { ...native, services, ...waypoint }));
    }
    await plane.serve({ addresses, authorizations: [] });
  };
  await say({});
  for (const [name, authority] of [
    ['gate', `${VIP}:80`],
    ['guard', `${to}:${PORT}`],
  ] as const) {
    const config = envoyHboneServer({
      ...{ host: mesh.pod(name).v4, port: HBONE },
      apps: [{ authority: authority ?? '*', host: to, port: PORT }],
      credentials: await credentials(ca, `${ID}/${name}`, ca),
      peer: `${ID}/client`,
    });
    const file = mesh.writeFile(`${name}.json`, JSON.stringify(config));
    const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning'];
    mesh.spawn(envoy!, [...args, '--use-dynamic-base-id'], { pod: mesh.pod(name) });
  }
  const agent = await startAgent({
    mesh,
    args: [
      ...['--xds', `http://127.0.0.1:${plane.port}`, '--ca-cert', files.certificate],
      ...['--ca-key', files.key, '--ca-root', files.certificate],
    ],
  });
  if (process.env['PODWIRE_TEST_LOGS']) t.after(() => console.error(agent.stderr));
  /** from whom the server was reached by the last connection */
  const seenFrom = async (addr: string, port: number): Promise<string> => {
    const before = (await server!.accepted(listener)).length;
    const answer = await client!.connect(addr, port);
    const id = idOf(answer);
    assert.equal(answer.peer, `${addr}:${port}`, 'the client sees what it dialled');
    assert.ok(await client!.echoes(id));
    await client!.close(id);
    const { from } = (await server!.accepted(listener))[before]!;
    const address = from.slice(0, from.lastIndexOf(':'));
    return mesh.pods.find(({ v4 }) => v4 === address)?.name ?? address;
  };

  await t.test('without one nothing is different', async () => {
    await untilSpeaks(client!, VIP, 80);
    assert.equal(await seenFrom(VIP, 80), 'client');
    assert.equal(await seenFrom(to, PORT), 'client');
  });

  await t.test('of a Service: the authority is the virtual address', async () => {
    await say({ service: viaGate });
    await until(
      'through it',
      async () => {
        const answer = await client!.connect(VIP, 80);
        if (answer.id === undefined) return false;
        const echoes = await client!.echoes(answer.id);
        await client!.close(answer.id);
        return echoes && (await seenFrom(VIP, 80)) === 'gate';
      },
      15_000,
    );
    assert.equal(await seenFrom(to, PORT), 'client', 'the pod itself has none');
  });

  await t.test('of a pod, by address: the authority is the pod’s', async () => {
    await say({ service: viaGate, workload: viaGuard });
    await until('through it', async () => (await seenFrom(to, PORT)) === 'guard');
    assert.equal(await seenFrom(VIP, 80), 'gate', 'a Service has a waypoint of its own');
  });

  const refused = async (said: Said): Promise<void> => {
    await say({ service: viaGate });
    await until('open', async () => {
      const answer = await client!.connect(VIP, 80);
      if (answer.id === undefined) return false;
      const echoes = await client!.echoes(answer.id);
      await client!.close(answer.id);
      return echoes;
    });
    await say(said);
    await until('closed', async () => {
      const answer = await client!.connect(VIP, 80);
      if (answer.id === undefined) return true;
      const echoes = await client!.echoes(answer.id);
      await client!.close(answer.id);
      return !echoes;
    });
    const before = (await server!.accepted(listener)).length;
    assert.match(await refusal(client!, VIP, 80, 15), /^(reset|ECONNREFUSED|ECONNRESET)$/);
    assert.equal((await server!.accepted(listener)).length, before, 'nothing goes past it');
  };

  await t.test('without an endpoint', () => refused({ service: viaGate, waypoint: null }));
  await t.test('with one that is not healthy', () =>
    refused({ service: viaGate, waypoint: { healthy: false } }),
  );
  await t.test('that nobody knows', () =>
    refused({ service: { service: `default/nobody.${HOST}`, port: HBONE } }),
  );
  await t.test('with another identity than the mesh says', () =>
    refused({ service: viaGate, waypoint: { serviceAccount: 'somebody' } }),
  );
});
