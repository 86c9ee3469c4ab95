/**
 * A connection's first bytes travel with its CONNECT: they come once, to nobody that policy keeps them from, and are sent again
 * only when it is certain that nobody has seen them.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorCode } from '../../../src/http2/error.ts';
import { Session } from '../../../src/http2/session.ts';
import type { Http2Stream } from '../../../src/http2/stream.ts';
import type { Transport } from '../../../src/proxy/transport.ts';
import { listeningSocket, TRANSPORTS } from '../../support/sockets.ts';
import { TRUST_DOMAIN, until } from '../transport/transport-lab.ts';
import { application, front, hboneClient, hboneServer, identities, request } from './hbone-lab.ts';

const who = await identities();

/** A request at the other end, and what came with it. */
interface Heard {
  readonly stream: Http2Stream;
  readonly session: Session;
  readonly chunks: Buffer[];
  ended: boolean;
}

function textOf({ chunks }: Heard): string {
  return Buffer.concat(chunks).toString();
}

/** A peer that answers when the test says so. */
function silentPeer(t: TestContext, transport: Transport): { port: number; heard: Heard[] } {
  const heard: Heard[] = [];
  const sessions: Session[] = [];
  const { fd, port } = listeningSocket();
  const profile = { trustDomains: [TRUST_DOMAIN], handshakeTimeoutMs: 10_000 };
  const listener = transport.listenTls(
    fd,
    { ...profile, credentials: () => who.server },
    ({ link }) => {
      const session = new Session({
        link,
        role: 'server',
        events: {
          request: (stream) => {
            const one: Heard = { stream, session, chunks: [], ended: false };
            heard.push(one);
            stream.start({
              data: (chunk) => void one.chunks.push(Buffer.from(chunk)),
              end: () => (one.ended = true),
              drain: () => undefined,
              close: () => undefined,
            });
          },
        },
      });
      sessions.push(session);
    },
    (reason) => assert.fail(reason),
  );
  t.after(() => {
    listener.close();
    for (const session of sessions) session.close();
  });
  return { port, heard };
}

function answer({ stream }: Heard): void {
  stream.sendFields([':status', '200']);
}

for (const { name, create } of TRANSPORTS) {
  describe(`early bytes, ${name}`, () => {
    const lab = (t: TestContext) => {
      const transport = create();
      const { port, heard } = silentPeer(t, transport);
      const client = hboneClient(t, transport, () => who.client);
      return { heard, client, ...front(t, transport, client, request(port, 80)) };
    };

    test('they are there before the answer, and both ways go on after it', async (t) => {
      const { heard, dial } = lab(t);
      const socket = dial();
      socket.write('hello');
      await until(() => heard[0] !== undefined && textOf(heard[0]) === 'hello', 'early bytes');
      answer(heard[0]!);
      heard[0]!.stream.send(Buffer.from('world'));
      const [reply] = (await once(socket, 'data')) as [Buffer];
      assert.equal(reply.toString(), 'world');
      socket.end(', again');
      await until(() => heard[0]!.ended, 'the end');
      assert.equal(textOf(heard[0]!), 'hello, again');
    });

    test('more than fits waits for the answer, and the end comes last', async (t) => {
      const { heard, dial } = lab(t);
      const sent = randomBytes(1 << 20);
      dial().end(sent);
      await until(() => (heard[0]?.chunks.length ?? 0) > 0, 'early bytes');
      await sleep(100);
      const early = Buffer.concat(heard[0]!.chunks).length;
      assert.ok(early >= 16 * 1024 && early < 256 * 1024, `${early} bytes`);
      assert.equal(heard[0]!.ended, false);
      answer(heard[0]!);
      await until(() => heard[0]!.ended, 'the end');
      assert.ok(Buffer.concat(heard[0]!.chunks).equals(sent));
    });

    test('an end that came early is told with the answer', async (t) => {
      const { heard, dial } = lab(t);
      dial().end('all');
      await until(() => heard[0] !== undefined && textOf(heard[0]) === 'all', 'early bytes');
      await sleep(50);
      assert.equal(heard[0]!.ended, false);
      answer(heard[0]!);
      await until(() => heard[0]!.ended, 'the end');
    });

    test('an application that is gone before the answer ends the tunnel', async (t) => {
      const { heard, dial } = lab(t);
      const socket = dial();
      socket.write('hello');
      await until(() => heard[0] !== undefined && textOf(heard[0]) === 'hello', 'early bytes');
      socket.resetAndDestroy();
      await sleep(50);
      answer(heard[0]!);
      await until(() => heard[0]!.stream.closed, 'the tunnel’s end');
    });

    test('refused unseen: asked again, with the same bytes', async (t) => {
      const { heard, dial, errors } = lab(t);
      dial().write('hello');
      await until(() => heard[0] !== undefined && textOf(heard[0]) === 'hello', 'early bytes');
      heard[0]!.stream.resetCode = ErrorCode.REFUSED_STREAM;
      heard[0]!.stream.close(true);
      await until(() => heard[1] !== undefined, 'the second request');
      answer(heard[1]!);
      await until(() => textOf(heard[1]!) === 'hello', 'the bytes again');
      await sleep(50);
      assert.deepEqual([heard.length, textOf(heard[1]!), errors], [2, 'hello', []]);
    });

    test('a connection that dies with them is no reason to send them twice', async (t) => {
      const { heard, dial, errors } = lab(t);
      dial().write('one');
      await until(() => heard[0] !== undefined, 'the first request');
      answer(heard[0]!);
      await until(() => textOf(heard[0]!) === 'one', 'the first bytes');
      await sleep(20);
      const socket = dial();
      socket.write('two');
      await until(() => heard[1] !== undefined && textOf(heard[1]) === 'two', 'early bytes');
      heard[1]!.session.close(ErrorCode.INTERNAL_ERROR);
      await until(() => socket.destroyed, 'the reset');
      await sleep(50);
      assert.equal(heard.length, 2);
      assert.equal(errors.length, 1);
    });

    test('who was silent for long is asked first', async (t) => {
      const { heard, dial } = lab(t);
      dial().write('one');
      await until(() => heard[0] !== undefined, 'the first request');
      answer(heard[0]!);
      await sleep(1100);
      dial().write('two');
      await until(() => heard[1] !== undefined, 'the second request');
      await sleep(100);
      assert.equal(textOf(heard[1]!), '');
      answer(heard[1]!);
      await until(() => textOf(heard[1]!) === 'two', 'the bytes');
    });

    test('policy refuses: the application hears nothing, the client a reset', async (t) => {
      const transport = create();
      let connections = 0;
      const appPort = await application(t, () => connections++);
      const { port, refusals } = hboneServer(t, transport, () => who.server, {
        allows: () => false,
      });
      const client = hboneClient(t, transport, () => who.client);
      const { dial, errors } = front(t, transport, client, request(port, appPort));
      for (let i = 1; i <= 3; i++) {
        const socket = dial();
        socket.write('secret');
        const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
        assert.equal(error.code, 'ECONNRESET');
        assert.deepEqual([refusals.length, errors.length, connections], [i, i, 0]);
      }
      assert.equal(client.connects, 1);
    });
  });
}
