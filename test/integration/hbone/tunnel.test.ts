/** HBONE client and server of podwire against each other, over every transport. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { before, suite, test } from 'node:test';
import { TunnelRefused } from '../../../src/hbone/tunnel.ts';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { TRANSPORTS } from '../../support/sockets.ts';
import { id, sendAll, Sink, until } from '../transport/transport-lab.ts';
import {
  application,
  hboneClient,
  hboneServer,
  type Identities,
  identities,
  request,
} from './hbone-lab.ts';

for (const { name, create } of TRANSPORTS) {
  suite(`HBONE over the ${name} transport`, () => {
    let ids: Identities;
    before(async () => {
      ids = await identities();
    });

    test('bytes both ways, who asked for what, half-close in both orders', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => socket.write(bytes));
        socket.on('end', () => socket.end('bye'));
      });
      const lab = hboneServer(t, transport, () => ids.server, {
        baggage: () => 'k8s.namespace.name=default,service.name=server',
      });
      const client = hboneClient(t, transport, () => ids.client);
      const tunnel = await client.connect(
        request(lab.port, app, {
          baggage: 'k8s.cluster.name=c1,k8s.pod.name=p',
          forwarded: 'for="[fd00::7]:4711";host=server.default.svc.cluster.local',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00',
        }),
      );
      assert.equal(tunnel.peer.spiffe, id('server'));
      assert.deepEqual(tunnel.baggage, { namespace: 'default', serviceName: 'server' });
      const sink = new Sink(tunnel.link);
      const bytes = randomBytes(1_000_000);
      await sendAll(sink, bytes);
      sink.link.end();
      await until(() => sink.closed, 'the end');
      assert.ok(sink.bytes.equals(Buffer.concat([bytes, Buffer.from('bye')])));
      assert.equal(sink.error, undefined);
      const [seen] = lab.requests;
      assert.equal(seen?.peer.spiffe, id('client'));
      assert.deepEqual(seen?.target, { address: '127.0.0.1', port: app });
      assert.deepEqual(seen?.baggage, { cluster: 'c1', workloadType: 'pod', workloadName: 'p' });
      assert.equal(seen?.service, 'server.default.svc.cluster.local');
      await until(() => lab.server.tunnels === 0 && client.tunnels === 0, 'no tunnels');
    });

    test('the application ends first', async (t) => {
      const transport = create();
      let received = '';
      const app = await application(t, (socket) => {
        socket.end('first');
        socket.on('data', (bytes) => (received += bytes.toString()));
      });
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const sink = new Sink((await client.connect(request(lab.port, app))).link);
      await until(() => sink.ended, 'end');
      assert.equal(sink.bytes.toString(), 'first');
      sink.link.send(Buffer.from('second'));
      sink.link.end();
      await until(() => sink.closed && received === 'second', 'the rest');
      assert.equal(sink.error, undefined);
    });

    test('resets go through in both directions', async (t) => {
      const transport = create();
      const events: string[] = [];
      const app = await application(t, (socket) => {
        socket.on('error', (error) => events.push((error as { code?: string }).code ?? ''));
        socket.on('data', (bytes) => {
          if (bytes.toString() === 'reset') socket.resetAndDestroy();
          else socket.write('ready');
        });
      });
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const a = new Sink((await client.connect(request(lab.port, app))).link);
      a.link.send(Buffer.from('reset'));
      await until(() => a.closed, 'close');
      assert.ok(a.error);
      assert.equal(a.ended, false);
      const b = new Sink((await client.connect(request(lab.port, app))).link);
      b.link.send(Buffer.from('x'));
      await until(() => b.length > 0, 'ready');
      b.link.close(true);
      await until(() => events.includes('ECONNRESET'), 'reset at the application');
      await until(() => lab.server.tunnels === 0, 'no tunnels');
      const c = new Sink((await client.connect(request(lab.port, app))).link);
      c.link.end();
      c.link.close(true);
      await until(() => lab.server.tunnels === 0, 'no tunnels after a half-close and a reset');
      assert.equal(client.connects, 1);
    });

    test('refusals by status', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.end());
      const closedPort = await freePort();
      let allowed = true;
      const lab = hboneServer(t, transport, () => ids.server, { allows: () => allowed });
      const client = hboneClient(t, transport, () => ids.client);
      const status = async (authority: string): Promise<number> => {
        const error: unknown = await client.connect(request(lab.port, app, { authority })).then(
          ({ link }) => link.close(true),
          (reason: unknown) => reason,
        );
        if (error === undefined) return 200;
        assert.ok(error instanceof TunnelRefused, String(error));
        return error.status;
      };
      assert.equal(await status(`127.0.0.2:${app}`), 400);
      assert.equal(await status('127.0.0.1'), 400);
      assert.equal(await status(`127.1:${app}`), 400);
      assert.equal(await status(`server.default.svc:${app}`), 503);
      for (const port of [15001, 15006, 15008, 15080])
        assert.equal(await status(`127.0.0.1:${port}`), 503);
      assert.equal(await status(`127.0.0.1:${closedPort}`), 503);
      allowed = false;
      assert.equal(await status(`127.0.0.1:${app}`), 401);
      assert.deepEqual(
        lab.refusals.map(([reason]) => reason),
        [
          ...['address', 'authority', 'authority', 'host'],
          ...['port', 'port', 'port', 'port', 'connect', 'policy'],
        ],
      );
      allowed = true;
      assert.equal(await status(`127.0.0.1:${app}`), 200);
      assert.equal(client.connects, 1);
      const strict = hboneServer(t, transport, () => ids.server, {}, { isForbidden: () => true });
      await assert.rejects(client.connect(request(strict.port, app)), { status: 400 });
    });

    test('20 tunnels echo 2 MiB each at once over one connection', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.pipe(socket));
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const one = async (): Promise<void> => {
        const bytes = randomBytes(2 << 20);
        const digest = createHash('sha256');
        const { link } = await client.connect(request(lab.port, app));
        const sink = new Sink(link, { keep: false, onData: (chunk) => digest.update(chunk) });
        await sendAll(sink, bytes, 40_000);
        link.end();
        await until(() => sink.closed, 'the whole echo', 60_000);
        assert.equal(sink.length, bytes.length);
        assert.equal(digest.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
      };
      await Promise.all(Array.from({ length: 20 }, one));
      assert.equal(client.connects, 1);
      assert.equal(lab.server.connections, 1);
    });

    test('a slow tunnel does not hold the others, and gets everything in the end', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => {
        socket.once('data', () => {
          for (let sent = 0; sent < 8; sent++) socket.write(Buffer.alloc(1 << 20, sent));
          socket.end();
        });
      });
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const slow = new Sink((await client.connect(request(lab.port, app))).link, { keep: false });
      slow.link.pause();
      slow.link.send(Buffer.from('go'));
      const fast = new Sink((await client.connect(request(lab.port, app))).link, { keep: false });
      fast.link.send(Buffer.from('go'));
      fast.link.end();
      await until(() => fast.closed, 'the fast one');
      assert.equal(fast.length, 8 << 20);
      assert.equal(slow.length, 0);
      slow.link.resume();
      slow.link.end();
      await until(() => slow.closed, 'the slow one');
      assert.equal(slow.length, 8 << 20);
      assert.equal(client.connects, 1);
    });

    test('the pool: first connects wait for one another, a full connection gets a sister', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.resume());
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const tunnels = await Promise.all(
        Array.from({ length: 250 }, () => client.connect(request(lab.port, app))),
      );
      assert.equal(client.connects, 3);
      assert.equal(lab.server.connections, 3);
      assert.equal(lab.server.tunnels, 250);
      for (const { link } of tunnels) new Sink(link).link.close(true);
      await until(() => lab.server.tunnels === 0, 'no tunnels');
      await client.connect(request(lab.port, app));
      assert.equal(client.connects, 3);
      await client.connect(request(lab.port, app, { pod: 'pod-b' }));
      await client.connect(request(lab.port, app, { acceptedIds: [id('server'), id('x')] }));
      assert.equal(client.connects, 5);
    });

    test('connections that nobody asks for are released', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.resume());
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client, { idleMs: 50 });
      const { link } = await client.connect(request(lab.port, app));
      const sink = new Sink(link);
      await until(() => client.connections === 0, 'release');
      assert.equal(lab.server.tunnels, 1);
      sink.link.close(true);
      await until(() => lab.server.connections === 0, 'the end of the connection');
    });

    test('rotation: new connections show the new certificate, tunnels live on', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.pipe(socket));
      const current: { client: TlsCredentials } = { client: ids.client };
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => current.client);
      const old = new Sink((await client.connect(request(lab.port, app))).link);
      current.client = await ids.authority.issue(id('client'), { version: 2 });
      await client.connect(request(lab.port, app, { pod: 'pod-b' }));
      const [first, second] = lab.requests;
      assert.notEqual(first?.peer.serial, second?.peer.serial);
      old.link.send(Buffer.from('still'));
      await until(() => old.length === 5, 'echo');
    });

    test('revocation ends a tunnel whose application does not read', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.pause());
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const sink = new Sink((await client.connect(request(lab.port, app))).link);
      while (sink.link.send(Buffer.alloc(100_000))) await new Promise(setImmediate);
      sink.link.end();
      assert.equal(
        lab.server.closeWhere(() => true),
        1,
      );
      await until(() => sink.closed && lab.server.tunnels === 0, 'the cut', 2000);
      assert.ok(sink.error);
    });

    test('revocation ends the tunnels it names, on both sides, and no others', async (t) => {
      const transport = create();
      const ends: string[] = [];
      const app = await application(t, (socket) => {
        socket.on('error', () => ends.push('reset'));
        socket.pipe(socket);
      });
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const kept = new Sink((await client.connect(request(lab.port, app))).link);
      const cut = new Sink(
        (await client.connect(request(lab.port, app, { forwarded: 'for="1.2.3.4:5";host=cut' })))
          .link,
      );
      cut.link.send(Buffer.from('x'));
      await until(() => cut.length === 1, 'echo');
      assert.equal(
        lab.server.closeWhere(({ request: { service } }) => service === 'cut'),
        1,
      );
      await until(() => cut.closed && ends.length === 1, 'the cut');
      assert.ok(cut.error);
      kept.link.send(Buffer.from('y'));
      await until(() => kept.length === 1, 'echo of the other');
      assert.equal(
        client.closeWhere(() => true),
        1,
      );
      await until(() => kept.closed && lab.server.tunnels === 0, 'the end');
    });

    test('drain: GOAWAY, open tunnels go on, new ones take another connection', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.pipe(socket));
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const old = new Sink((await client.connect(request(lab.port, app))).link);
      lab.server.shutdown();
      await until(() => client.connections === 0, 'GOAWAY');
      old.link.send(Buffer.from('x'));
      await until(() => old.length === 1, 'echo');
      const next = hboneServer(t, transport, () => ids.server);
      await client.connect(request(next.port, app));
      old.link.end();
      await until(() => old.closed, 'end');
      assert.equal(old.error, undefined);
      await until(() => lab.server.connections === 0, 'the end of the drained connection');
    });

    test('a server that dies ends its tunnels with an error, and the next one is found', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.pipe(socket));
      const lab = hboneServer(t, transport, () => ids.server);
      const client = hboneClient(t, transport, () => ids.client);
      const sink = new Sink((await client.connect(request(lab.port, app))).link);
      lab.server.close();
      await until(() => sink.closed, 'close');
      assert.ok(sink.error);
      await until(() => client.connections === 0, 'an empty pool');
    });

    test('failures to connect', async (t) => {
      const transport = create();
      const app = await application(t, (socket) => socket.resume());
      const closedPort = await freePort();
      const client = hboneClient(t, transport, () => ids.client, { connectTimeoutMs: 300 });
      await assert.rejects(client.connect(request(closedPort, app)), { code: 'ECONNREFUSED' });
      const mute = await application(t, () => undefined);
      const all = await Promise.allSettled(
        Array.from({ length: 5 }, () => client.connect(request(mute, app))),
      );
      for (const one of all) assert.equal((one as PromiseRejectedResult).reason.reason, 'timeout');
      const bare = hboneClient(t, transport, () => undefined);
      await assert.rejects(bare.connect(request(mute, app)), { reason: 'no-credentials' });
      const other = await identities();
      const foreign = hboneServer(t, transport, () => ids.server);
      const stranger = hboneClient(t, transport, () => ({
        ...other.client,
        roots: ids.authority.roots,
      }));
      await assert.rejects(stranger.connect(request(foreign.port, app)));
      await until(() => foreign.tlsRefusals.includes('untrusted'), 'refusal');
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
