/**
 * A peer that speaks HBONE itself, with wrong certificates, false authorities, forged headers or floods of frames: it gets
 * nothing that its certificate's identity may not have, and nobody else notices it.
 */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fieldValue, type FieldList } from '../../src/http2/fields.ts';
import { Session } from '../../src/http2/session.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import { NetTransport } from '../../src/proxy/net-transport.ts';
import type { TlsCredentials } from '../../src/model/tls-credentials.ts';
import type { SecureLink } from '../../src/proxy/transport.ts';
import { givenCa, IssuingCa } from '../support/issuing-ca.ts';
import { credentials } from '../support/leaf-credentials.ts';
import type { Pod } from '../support/netns.ts';
import { skipReason } from '../support/node.ts';
import { until } from '../support/puppet.ts';
import { fromAccounts, policy } from '../support/resources.ts';
import { residentKib, startTwoNodes, type TwoNodes, untilSpeaks } from '../support/two-nodes.ts';

const skip = skipReason('python3', 'openssl');
const PORT = 8080;
const HBONE = 15008;
const DAY = 86_400_000;
const HALF_OPEN = 300;
const ID = 'spiffe://cluster.local/ns/default/sa';

interface Stage extends TwoNodes {
  readonly ca: IssuingCa;
  readonly server: Pod;
  /** the pod that nobody captures, on the clients' node */
  readonly stranger: Pod;
  connect(credentials: TlsCredentials): Promise<SecureLink>;
  socket(): number;
}

async function setTheStage(t: TestContext): Promise<Stage> {
  const { ca, files } = await givenCa(t);
  const stage = await startTwoNodes(t, {
    near: [{ name: 'client' }, { name: 'stranger', labels: { 'istio.io/dataplane-mode': 'none' } }],
    far: [{ name: 'server' }, { name: 'neighbour' }],
    own: () => ({ ca: files }),
  });
  const binding = loadBinding();
  const transport = new NetTransport({
    closeOrderly: (fd) => binding.setResetOnClose(fd, false),
  });
  const [server, stranger] = [stage.far.pod('server'), stage.near.pod('stranger')];
  const socket = (): number => binding.socketIn({ netnsPath: stranger.netnsPath, family: 4 });
  const connect = (credentials: TlsCredentials): Promise<SecureLink> =>
    transport.connectTls(
      socket(),
      { address: server.v4, port: HBONE },
      { credentials, acceptedIds: [`${ID}/server`], handshakeTimeoutMs: 5000 },
    );
  return { ...stage, ca, server, stranger, connect, socket };
}

/** The status of the answer; text: how it ended without one */
function request(session: Session, fields: FieldList): Promise<number | string> {
  return new Promise((resolve) => {
    const stream = session.open(fields, {
      fields: (answer) => {
        resolve(Number(fieldValue(answer, ':status')));
        stream.close(true);
      },
      closed: (error) => resolve(error?.message ?? 'closed'),
    });
  });
}

function tunnelTo(session: Session, authority: string, more: FieldList = []) {
  return request(session, [':method', 'CONNECT', ':authority', authority, ...more]);
}

/** Whether the server answers a request on what the credentials open. */
async function isServed(stage: Stage, own: TlsCredentials): Promise<boolean> {
  let link: SecureLink;
  try {
    link = await stage.connect(own);
  } catch {
    return false;
  }
  const session = new Session({ link, role: 'client', events: {} });
  const status = await tunnelTo(session, `${stage.server.v4}:${PORT}`);
  session.close();
  return status === 200;
}

test('who speaks HBONE itself', { skip }, async (t) => {
  const stage = await setTheStage(t);
  const { server, ca } = stage;
  const far = stage.agents[1];
  const listener = await stage.puppet('server').listen(server.v4, PORT);
  const accepted = async (): Promise<number> =>
    (await stage.puppet('server').accepted(listener)).length;
  const client = stage.puppet('client');
  await untilSpeaks(client, server.v4, PORT);
  const live = await client.open(server.v4, PORT);

  await t.test('with a certificate of the mesh it is served as who it is', async () => {
    assert.ok(await isServed(stage, await credentials(ca, `${ID}/evil`, ca)));
  });

  await t.test('with a wrong certificate, or none, it gets no answer', async () => {
    const other = await IssuingCa.make('other');
    const before = await accepted();
    for (const [what, own] of [
      ['another CA', await credentials(other, `${ID}/client`, ca)],
      [
        'another trust domain',
        await credentials(ca, 'spiffe://evil.test/ns/default/sa/client', ca),
      ],
      ['a node', await credentials(ca, 'spiffe://cluster.local/node/n1', ca)],
      ['no workload', await credentials(ca, 'spiffe://cluster.local/ns/default', ca)],
      [
        'expired',
        await credentials(ca, `${ID}/client`, ca, {
          notBefore: Date.now() - DAY,
          notAfter: Date.now() - 1000,
        }),
      ],
      [
        'not yet valid',
        await credentials(ca, `${ID}/client`, ca, {
          notBefore: Date.now() + DAY,
          notAfter: Date.now() + 2 * DAY,
        }),
      ],
      ['a CA itself', await credentials(ca, `${ID}/client`, ca, { ca: true })],
    ] as const) {
      assert.equal(await isServed(stage, own), false, what);
    }
    const socket = new Socket({ fd: stage.socket() });
    const ended = await new Promise<string>((resolve) => {
      socket.once('error', (error) => resolve(error.message));
      socket.connect(HBONE, server.v4, () => {
        const tls = connectTls({ socket, ALPNProtocols: ['h2'], rejectUnauthorized: false });
        tls.once('error', (error) => resolve(error.message));
        tls.once('data', () => resolve('served'));
        tls.once('close', () => resolve('closed'));
      });
    });
    assert.notEqual(ended, 'served');
    assert.equal(await accepted(), before);
  });

  await t.test('the authority is this pod, and no port of the mesh', async () => {
    const link = await stage.connect(await credentials(ca, `${ID}/evil`, ca));
    const session = new Session({ link, role: 'client', events: {} });
    const neighbour = stage.far.pod('neighbour').v4;
    const before = await accepted();
    for (const [authority, status] of [
      [`${neighbour}:${PORT}`, 400],
      [`${stage.near.pod('client').v4}:${PORT}`, 400],
      [`127.0.0.1:${PORT}`, 400],
      [`[::1]:${PORT}`, 400],
      [`[::ffff:127.0.0.1]:${PORT}`, 400],
      [`0.0.0.0:${PORT}`, 400],
      [`[::]:${PORT}`, 400],
      ['169.254.169.254:80', 400],
      [`[fe80::1]:${PORT}`, 400],
      ['224.0.0.1:80', 400],
      [`${stage.far.nodeAddress}:22`, 400],
      ...[15001, 15006, 15008, 15080].map((port) => [`${server.v4}:${port}`, 503] as const),
      [`localhost:${PORT}`, 503],
      ['kubernetes.default.svc.cluster.local:443', 503],
      [`2130706433:${PORT}`, 400],
      [`0x7f000001:${PORT}`, 400],
      [`0177.0.0.1:${PORT}`, 400],
      [`${server.v4}`, 400],
      [`${server.v4}:0`, 400],
      [`${server.v4}:65536`, 400],
      [`user@${server.v4}:${PORT}`, 400],
    ] as const) {
      assert.equal(await tunnelTo(session, authority), status, authority);
    }
    assert.equal(
      await request(session, [
        ':method',
        'GET',
        ':scheme',
        'http',
        ':path',
        '/',
        ':authority',
        `${server.v4}:${PORT}`,
      ]),
      400,
    );
    assert.equal(await tunnelTo(session, `${server.v4}:${PORT}`), 200, 'the session lives');
    await until('accept', async () => (await accepted()) === before + 1);
    session.close();
  });

  await t.test('forged headers change neither identity nor address', async () => {
    const { v4 } = stage.near.pod('client');
    const forged = [
      ...['forwarded', `for="${v4}:1234"`],
      ...['baggage', 'k8s.namespace.name=default,k8s.pod.name=client,service.name=client'],
      ...['x-forwarded-for', v4],
      ...['x-forwarded-client-cert', `URI=${ID}/client`],
    ];
    const link = await stage.connect(await credentials(ca, `${ID}/evil`, ca));
    const session = new Session({ link, role: 'client', events: {} });
    const before = await accepted();
    assert.equal(await tunnelTo(session, `${server.v4}:${PORT}`, forged), 200);
    const seen = await until(
      'accept',
      async () => (await stage.puppet('server').accepted(listener))[before],
    );
    assert.ok(seen.from.startsWith(`${stage.stranger.v4}:`), seen.from);
    assert.ok(seen.peer.startsWith(`${stage.stranger.v4}:`), seen.peer);
    const rules = [fromAccounts('client')];
    far.writeResource('rules.yaml', [policy({ name: 'p', app: 'server', rules })]);
    await until(
      'refused',
      async () => (await tunnelTo(session, `${server.v4}:${PORT}`, forged)) === 401,
    );
    assert.ok(await client.echoes(live));
    const line = await until('the log', () =>
      far.log.find((one) => one['msg'] === 'connection failed' && one['error'] === 'policy'),
    );
    assert.equal(line['src.identity'], `${ID}/evil`);
    assert.equal(line['src.workload'] ?? 'stranger', 'stranger');
    session.close();
  });

  await t.test(
    'a captured pod does not reach 15008 of another node; of its own without a certificate nothing',
    async () => {
      for (const addr of [server.v4, server.v6]) {
        assert.equal((await client.connect(addr, HBONE)).error, 'ECONNREFUSED');
      }
      const neighbour = stage.puppet('neighbour');
      const before = await accepted();
      const id = await neighbour.open(server.v4, HBONE);
      await neighbour.do('say', { id, text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', answer: false });
      const { received } = await neighbour.do('read', { id, size: 1000 });
      assert.ok(received! < 20, 'an alert of TLS at most');
      assert.equal(await accepted(), before);
    },
  );

  await t.test('a stolen port gets nothing', async () => {
    const puppet = stage.puppet('server');
    const thieves: number[] = [];
    for (const [addr, family] of [
      ['0.0.0.0', 4],
      ['::', 6],
      [server.v4, 4],
    ] as const) {
      const { id } = await puppet.do('listen', {
        ...{ addr, port: HBONE, mode: 'name', name: 'thief', reuseport: true },
        ...(family === 6 && { family }),
      });
      if (id !== undefined) thieves.push(id);
    }
    assert.ok(thieves.length > 0);
    const other = stage.puppet('client');
    for (let i = 0; i < 10; i++) await untilSpeaks(other, server.v4, PORT);
    for (const id of thieves) {
      assert.deepEqual(await puppet.accepted(id), []);
      await puppet.close(id);
    }
  });

  await t.test('a SYN in somebody else’s name leads to nothing', async () => {
    const { v4 } = stage.near.pod('client');
    const before = await accepted();
    for (let i = 0; i < 20; i++) {
      await stage.puppet('stranger').do('spoof', {
        ...{ source: v4, sourcePort: 40_000 + i, addr: server.v4, port: HBONE },
      });
    }
    assert.ok(await client.echoes(live));
    assert.equal(await accepted(), before);
  });
});

/** A frame of HTTP/2. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const [HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION] = [1, 3, 4, 6, 8, 9];
const END_HEADERS = 4;
const FLOOD_MS = 3000;

test('floods of frames', { skip }, async (t) => {
  const stage = await setTheStage(t);
  const { server, ca } = stage;
  await stage.puppet('server').listen(server.v4, PORT);
  const client = stage.puppet('client');
  await untilSpeaks(client, server.v4, PORT);
  const live = await client.open(server.v4, PORT);
  const own = await credentials(ca, `${ID}/evil`, ca);
  const before = await residentKib(stage.agents[1]);
  /* :method CONNECT and :authority as literals without indexing, unhuffled */
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]);
  const block = Buffer.concat([
    literal(':method', 'CONNECT'),
    literal(':authority', `${server.v4}:${PORT}`),
  ]);
  const four = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const floods: Readonly<Record<string, (turn: number) => Buffer>> = {
    'rapid reset': (turn) =>
      Buffer.concat([
        frame(HEADERS, END_HEADERS, 2 * turn + 1, block),
        frame(RST_STREAM, 0, 2 * turn + 1, four(8)),
      ]),
    PING: () => frame(PING, 0, 0, Buffer.alloc(8)),
    SETTINGS: () => frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    CONTINUATION: (turn) =>
      turn === 0
        ? frame(HEADERS, 0, 1, block)
        : frame(CONTINUATION, 0, 1, literal(`x-${turn}`, 'y'.repeat(100))),
    'empty CONTINUATION': (turn) =>
      turn === 0 ? frame(HEADERS, 0, 1, block) : frame(CONTINUATION, 0, 1, Buffer.alloc(0)),
    'WINDOW_UPDATE of 0': () => frame(WINDOW_UPDATE, 0, 0, four(0)),
    'requests without end': (turn) => frame(HEADERS, END_HEADERS, 2 * turn + 1, block),
  };
  for (const [name, make] of Object.entries(floods)) {
    await t.test(name, async (subtest) => {
      const link = await stage.connect(own);
      let ended = false;
      link.start({
        data: () => undefined,
        end: () => (ended = true),
        drain: () => undefined,
        close: () => (ended = true),
      });
      link.send(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0))]));
      const talk = client.do('talk', { id: live, seconds: FLOOD_MS / 1000, pause: 0.01 });
      const end = Date.now() + FLOOD_MS;
      let turn = 0;
      while (!ended && Date.now() < end) {
        const frames: Buffer[] = [];
        for (let i = 0; i < 200; i++) frames.push(make(turn++));
        link.send(Buffer.concat(frames));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      subtest.diagnostic(`${turn} frames, ${ended ? 'ended by the server' : 'still open'}`);
      if (name !== 'requests without end') assert.ok(ended, 'nobody puts up with that');
      link.close(true);
      const told = await talk;
      assert.equal(told.end, 'none');
      assert.ok(told.sent! > 20, `${told.sent} words meanwhile`);
    });
  }

  await t.test(`${HALF_OPEN} handshakes that never end, and garbage`, async () => {
    const sockets = Array.from({ length: HALF_OPEN }, (_, i) => {
      const socket = new Socket({ fd: stage.socket() });
      socket.on('error', () => undefined);
      socket.connect(HBONE, server.v4, () => {
        if (i % 3 === 0) socket.write('GET / HTTP/1.1\r\n\r\n');
        else if (i % 3 === 1) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
      });
      return socket;
    });
    t.after(() => sockets.forEach((socket) => socket.destroy()));
    for (let i = 0; i < 10; i++) assert.ok(await client.echoes(live));
    assert.ok(await isServed(stage, own));
    await until(
      'all are ended',
      () => sockets.every((socket) => socket.destroyed || socket.readyState !== 'open'),
      15_000,
    );
  });

  await t.test('the agent is what it was', async (subtest) => {
    const grown = (await residentKib(stage.agents[1])) - before;
    subtest.diagnostic(`grew by ${grown} KiB`);
    assert.ok(grown < 96 * 1024, `${grown} KiB`);
    const worker = stage.agents[1].log.filter(({ msg }) =>
      /worker (ended|failed)/.test(String(msg)),
    );
    assert.deepEqual(worker, []);
    assert.ok(await client.echoes(live));
  });
});
