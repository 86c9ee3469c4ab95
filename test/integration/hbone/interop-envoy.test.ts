/** HBONE with a real Envoy at the other end: its tcp_proxy tunnels to our server, our client to its CONNECT termination. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { before, suite, test } from 'node:test';
import { TRANSPORTS } from '../../support/sockets.ts';
import { envoyHboneClient, envoyHboneServer, startEnvoy } from '../../support/envoy-hbone.ts';
import { findEnvoy } from '../../bench/envoy.ts';
import { freePort } from '../../bench/hbone/pair.ts';
import { id, sendAll, Sink, until } from '../transport/transport-lab.ts';
import {
  application,
  echoed,
  front,
  hboneClient,
  hboneServer,
  type Identities,
  identities,
  request,
} from './hbone-lab.ts';

const envoy = findEnvoy(process.env);
let ids: Identities;
before(async () => {
  ids = await identities();
});

async function exchange(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.end(bytes);
  await once(socket, 'end');
  socket.destroy();
  return Buffer.concat(chunks);
}

for (const { name, create } of TRANSPORTS) {
  suite(`Envoy and the ${name} transport`, { skip: envoy ? false : 'no Envoy' }, () => {
    test('Envoy as client: 20 tunnels at once, half-close, refusal', async (t) => {
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => {
          if (!socket.write(bytes)) socket.pause();
        });
        socket.on('drain', () => socket.resume());
        socket.on('end', () => socket.end('bye'));
      });
      let allowed = true;
      const lab = hboneServer(t, create(), () => ids.server, { allows: () => allowed });
      const port = await freePort();
      const running = await startEnvoy(
        envoy ?? '',
        envoyHboneClient({
          port,
          server: { host: '127.0.0.1', port: lab.port },
          authority: `127.0.0.1:${app}`,
          credentials: ids.client,
          peer: id('server'),
        }),
        port,
      );
      t.after(() => running.stop());
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const bytes = randomBytes(1 << 20);
          const reply = await exchange(port, bytes);
          assert.ok(reply.equals(Buffer.concat([bytes, Buffer.from('bye')])));
        }),
      );
      assert.equal(lab.requests[0]?.peer.spiffe, id('client'));
      assert.ok(lab.server.connections <= 2, `${lab.server.connections} connections`);
      allowed = false;
      const refused = connect({ port, host: '127.0.0.1' });
      refused.on('error', () => undefined);
      refused.write('x');
      // by FIN or RST, as Envoy likes: once() would throw for the latter
      await new Promise((resolve) => refused.once('close', resolve));
      await until(() => lab.refusals.some(([reason]) => reason === 'policy'), 'refusal');
      await until(() => lab.server.tunnels === 0, 'no tunnels');
    });

    test('Envoy as server: 20 tunnels at once, half-close, reset, its drain', async (t) => {
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => {
          if (bytes.toString() === 'reset') socket.resetAndDestroy();
          else if (!socket.write(bytes)) socket.pause();
        });
        socket.on('drain', () => socket.resume());
        socket.on('end', () => socket.end('bye'));
      });
      const port = await freePort();
      const running = await startEnvoy(
        envoy ?? '',
        envoyHboneServer({
          ...{ port, credentials: ids.server, peer: id('client') },
          apps: [{ authority: '*', host: '127.0.0.1', port: app }],
        }),
        port,
      );
      t.after(() => running.stop());
      const transport = create();
      const client = hboneClient(t, transport, () => ids.client);
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const bytes = randomBytes(1 << 20);
          const sink = new Sink((await client.connect(request(port, app))).link);
          await sendAll(sink, bytes, 60_000);
          sink.link.end();
          await until(() => sink.closed, 'the end', 30_000);
          assert.ok(sink.bytes.equals(Buffer.concat([bytes, Buffer.from('bye')])));
        }),
      );
      assert.equal(client.connects, 1);
      const { dial, errors } = front(t, transport, client, request(port, app));
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const sent = randomBytes(100_000);
          assert.ok((await echoed(dial(), sent)).equals(Buffer.concat([sent, Buffer.from('bye')])));
        }),
      );
      assert.deepEqual(errors, []);
      const reset = new Sink((await client.connect(request(port, app))).link);
      reset.link.send(Buffer.from('reset'));
      await until(() => reset.closed, 'reset');
      assert.ok(reset.error);
      const open = new Sink((await client.connect(request(port, app))).link);
      await running.stop();
      await until(() => open.closed, 'the end of Envoy');
      assert.ok(open.error);
    });
  });
}
