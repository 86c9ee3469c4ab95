/** HBONE with node:http2 at the other end, as client and as server (it stands in for ztunnel's hyper). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  createSecureServer,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { before, suite, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { TunnelRefused } from '../../../src/hbone/tunnel.ts';
import { TRANSPORTS } from '../../support/sockets.ts';
import { sendAll, Sink, until } from '../transport/transport-lab.ts';
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

let ids: Identities;
before(async () => {
  ids = await identities();
});

function nodeClient(t: TestContext, port: number): ClientHttp2Session {
  const { certificateChain: cert, privateKey: key, roots: ca } = ids.client;
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    createConnection: () =>
      connectTls({
        ...{ host: '127.0.0.1', port, cert, key, ca },
        ALPNProtocols: ['h2'],
        checkServerIdentity: () => undefined,
      }),
  });
  session.on('error', () => undefined);
  t.after(() => session.destroy());
  return session;
}

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  stream.on('error', () => undefined);
  const [headers] = (await once(stream, 'response')) as [{ ':status'?: number }];
  return headers[':status'] ?? 0;
}

async function readAll(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const { name, create } of TRANSPORTS) {
  suite(`node:http2 and the ${name} transport`, () => {
    test('as client: bytes, half-close, statuses, other methods', async (t) => {
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => socket.write(bytes));
        socket.on('end', () => socket.end('bye'));
      });
      const lab = hboneServer(t, create(), () => ids.server);
      const session = nodeClient(t, lab.port);
      const connect = (authority: string): ClientHttp2Stream =>
        session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false });
      const tunnel = connect(`127.0.0.1:${app}`);
      assert.equal(await statusOf(tunnel), 200);
      const bytes = randomBytes(3_000_000);
      const reply = readAll(tunnel);
      tunnel.end(bytes);
      assert.ok((await reply).equals(Buffer.concat([bytes, Buffer.from('bye')])));
      for (const [authority, status] of [
        [`127.0.0.9:${app}`, 400],
        ['127.0.0.1', 400],
        ['127.0.0.1:15001', 503],
        ['nobody.default.svc:80', 503],
      ] as const)
        assert.equal(await statusOf(connect(authority)), status, authority);
      assert.equal(await statusOf(session.request({ ':path': '/' })), 400);
      const settings = session.remoteSettings;
      assert.equal(settings.initialWindowSize, 65_536);
      assert.equal(settings.maxFrameSize, 1 << 20);
      assert.equal(settings.maxConcurrentStreams, 200);
      const [ping] = await new Promise<[number]>((resolve) => {
        session.ping((_error, duration) => resolve([duration]));
      });
      assert.ok(ping >= 0);
    });

    test('as client: resets both ways, and GOAWAY', async (t) => {
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => {
          if (bytes.toString() === 'reset') socket.resetAndDestroy();
          else socket.write(bytes);
        });
      });
      const lab = hboneServer(t, create(), () => ids.server);
      const session = nodeClient(t, lab.port);
      const open = async (): Promise<ClientHttp2Stream> => {
        const stream = session.request(
          { ':method': 'CONNECT', ':authority': `127.0.0.1:${app}` },
          { endStream: false },
        );
        assert.equal(await statusOf(stream), 200);
        return stream;
      };
      const one = await open();
      one.write('reset');
      await until(() => one.closed && one.destroyed, 'reset');
      assert.equal(one.rstCode, 10);
      const two = await open();
      two.close(10);
      /* node:http2 ends its side before it resets: the application has seen the end and does not look again. */
      await until(() => lab.server.tunnels === 0, 'no tunnels');
      const three = await open();
      three.write('x');
      await once(three, 'data');
      lab.server.shutdown();
      await once(session, 'goaway');
      three.write('y');
      await once(three, 'data');
      three.on('data', () => undefined);
      three.end();
      three.close(8);
      await until(() => lab.server.connections === 0, 'the end');
    });

    test('as server: bytes, half-close, resets, statuses', async (t) => {
      const authorities: (string | undefined)[] = [];
      const server = createSecureServer({
        cert: ids.server.certificateChain,
        key: ids.server.privateKey,
        ca: ids.server.roots,
        requestCert: true,
        rejectUnauthorized: true,
      });
      server.on('stream', (stream: ServerHttp2Stream, headers) => {
        const authority = headers[':authority'];
        authorities.push(authority);
        stream.on('error', () => undefined);
        if (authority === '127.0.0.1:1') {
          stream.respond({ ':status': 401 }, { endStream: true });
          return;
        }
        const upstream = connectTcp({ port: app, host: '127.0.0.1', allowHalfOpen: true }, () => {
          stream.respond({ ':status': 200, baggage: 'k8s.namespace.name=n' });
          stream.pipe(upstream);
          upstream.pipe(stream);
        });
        upstream.on('error', () => stream.close(10));
        stream.on('close', () => upstream.destroy());
      });
      const app = await application(t, (socket) => {
        socket.on('data', (bytes) => {
          if (bytes.toString() === 'reset') socket.resetAndDestroy();
          else socket.write(bytes);
        });
        socket.on('end', () => socket.end('bye'));
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      const { port } = server.address() as AddressInfo;
      const transport = create();
      const client = hboneClient(t, transport, () => ids.client);
      const tunnel = await client.connect(request(port, app));
      assert.deepEqual(tunnel.baggage, { namespace: 'n' });
      const sink = new Sink(tunnel.link);
      const bytes = randomBytes(3_000_000);
      await sendAll(sink, bytes, 100_000);
      sink.link.end();
      await until(() => sink.closed, 'the end');
      assert.ok(sink.bytes.equals(Buffer.concat([bytes, Buffer.from('bye')])));
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
      await assert.rejects(client.connect(request(port, 1)), TunnelRefused);
      assert.equal(client.connects, 1);
      assert.equal(authorities[0], `127.0.0.1:${app}`);
    });
  });
}
