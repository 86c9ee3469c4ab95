/** TLS of every transport: who is taken, who is refused and for which reason, and bytes both ways. */
import assert from 'node:assert/strict';
import { randomBytes, X509Certificate } from 'node:crypto';
import { connect as connectTcp, createServer } from 'node:net';
import { before, suite, test, type TestContext } from 'node:test';
import { connect as connectNodeTls, createServer as createTlsServer } from 'node:tls';
import type { AddressInfo } from 'node:net';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { TlsError, type TlsRefusal } from '../../../src/proxy/transport.ts';
import { freshSocket, TRANSPORTS } from '../../support/sockets.ts';
import { SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { id, sendAll, Sink, tlsClient, tlsServer, until } from './transport-lab.ts';

const HOUR = 3_600_000;

for (const { name, create } of TRANSPORTS) {
  suite(`TLS of the ${name} transport`, () => {
    let authority: SpiffeAuthority;
    let other: SpiffeAuthority;
    let server: TlsCredentials;
    let client: TlsCredentials;

    before(async () => {
      authority = await SpiffeAuthority.create();
      other = await SpiffeAuthority.create('other');
      server = await authority.issue(id('server'));
      client = await authority.issue(id('client'));
    });

    test('both ends know each other before the first byte', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const link = await tlsClient(t, transport, lab.port, client);
      const accepted = await lab.next();
      assert.equal(link.peer.spiffe, id('server'));
      assert.equal(accepted.link.peer.spiffe, id('client'));
      const certificate = new X509Certificate(client.certificateChain);
      assert.equal(accepted.link.peer.serial, certificate.serialNumber.toLowerCase());
      assert.equal(accepted.link.peer.notAfter, Date.parse(certificate.validTo));
      assert.match(accepted.link.peer.issuerHash ?? '', /^[0-9a-f]{64}$/);
      assert.deepEqual(accepted.local, { address: '127.0.0.1', port: lab.port });
      assert.equal(accepted.remote.address, '127.0.0.1');
      assert.ok(link.fd >= 0 && accepted.link.fd >= 0);
    });

    test('bytes both ways at once, half-close, orderly end', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const a = new Sink(await tlsClient(t, transport, lab.port, client));
      const b = new Sink((await lab.next()).link);
      const [there, back] = [randomBytes(3_000_000), randomBytes(2_000_000)];
      await Promise.all([sendAll(a, there), sendAll(b, back, 777)]);
      a.link.end();
      await until(() => b.ended, 'end');
      assert.ok(b.bytes.equals(there));
      b.link.send(Buffer.from('tail'));
      b.link.end();
      await until(() => a.closed && b.closed, 'close');
      assert.ok(a.bytes.equals(Buffer.concat([back, Buffer.from('tail')])));
      assert.equal(a.error, undefined);
      assert.equal(b.error, undefined);
      assert.ok(a.ended);
    });

    test('a paused reader holds the writer, a resumed one gets all', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const a = new Sink(await tlsClient(t, transport, lab.port, client), { keep: false });
      const b = new Sink((await lab.next()).link, { keep: false });
      b.link.pause();
      let sent = 0;
      while (a.link.send(Buffer.alloc(65_536)) || sent < 65_536 * 4) {
        sent += 65_536;
        await new Promise(setImmediate);
        assert.ok(sent < 100_000_000, 'the writer is never held');
      }
      sent += 65_536;
      const lengthBefore = b.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(b.length, lengthBefore);
      b.link.resume();
      await until(() => b.length === sent, 'all bytes');
      await until(() => a.drains > 0, 'drain');
    });

    test('a reset is an error at the other end', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const a = new Sink(await tlsClient(t, transport, lab.port, client));
      const b = new Sink((await lab.next()).link);
      a.link.send(Buffer.from('x'));
      await until(() => b.length === 1, 'byte');
      a.link.close(true);
      await until(() => b.closed && a.closed, 'close');
      assert.ok(b.error);
    });

    test('credentials are asked for at each accept; what is open stays', async (t) => {
      const transport = create();
      let current: TlsCredentials | undefined = server;
      const lab = tlsServer(t, transport, () => current);
      const first = new Sink(await tlsClient(t, transport, lab.port, client));
      const firstServer = new Sink((await lab.next()).link);
      current = await authority.issue(id('server'), { version: 2 });
      const second = await tlsClient(t, transport, lab.port, client);
      assert.notEqual(second.peer.serial, (first.link as typeof second).peer.serial);
      first.link.send(Buffer.from('still here'));
      await until(() => firstServer.length === 10, 'bytes on the older connection');
      current = undefined;
      await assert.rejects(tlsClient(t, transport, lab.port, client));
      await until(() => lab.refused.includes('no-credentials'), 'refusal');
    });

    test('chains with an intermediate, RSA leafs and other names beside the id', async (t) => {
      const transport = create();
      const below = await authority.intermediate();
      const rsa = await below.issue(id('client'), {
        uris: ['https://example.com/x', id('client'), id('second')],
        dnsNames: ['a, URI:spiffe://cluster.local/ns/default/sa/forged'],
        rsa: true,
      });
      const lab = tlsServer(t, transport, () => server);
      await tlsClient(t, transport, lab.port, rsa);
      const { peer } = (await lab.next()).link;
      assert.equal(peer.spiffe, id('client'));
      assert.deepEqual(peer.spiffeIds, [id('client'), id('second')]);
    });

    /** The server refuses: the client hears of it at its first read at the latest. */
    async function refusedByServer(
      t: TestContext,
      credentials: TlsCredentials,
      reason: TlsRefusal,
      serverCredentials: TlsCredentials = server,
    ): Promise<void> {
      const transport = create();
      const lab = tlsServer(t, transport, () => serverCredentials);
      await tlsClient(t, transport, lab.port, credentials).then(
        async (link) => {
          const sink = new Sink(link);
          await until(() => sink.closed || sink.ended, 'the end of a refused link');
          assert.equal(sink.length, 0);
        },
        (error: unknown) => assert.ok(error instanceof TlsError),
      );
      await until(() => lab.refused.length > 0, 'refusal');
      assert.deepEqual(lab.refused, [reason]);
      assert.equal(lab.accepted.length, 0);
    }

    const refusals: Readonly<Record<string, [() => Promise<TlsCredentials>, TlsRefusal]>> = {
      'an expired certificate': [
        () => authority.issue(id('client'), { notAfter: Date.now() - 1000 }),
        'expired',
      ],
      'a certificate of tomorrow': [
        () => authority.issue(id('client'), { notBefore: Date.now() + HOUR / 2 }),
        'expired',
      ],
      'a certificate of another authority': [
        () => other.issue(id('client'), { roots: authority.roots }),
        'untrusted',
      ],
      'another trust domain': [
        () => authority.issue(id('client', 'other.domain')),
        'wrong-trust-domain',
      ],
      'no URI name': [
        () => authority.issue(id('client'), { uris: [], dnsNames: ['a.example'] }),
        'no-spiffe-id',
      ],
      'an id of another form': [
        () => authority.issue('', { uris: ['spiffe://cluster.local/workload/a'] }),
        'no-spiffe-id',
      ],
      'the certificate of an authority': [
        () => authority.issue(id('client'), { ca: true }),
        'untrusted',
      ],
      'a server certificate': [
        () => authority.issue(id('client'), { usages: ['server'] }),
        'untrusted',
      ],
    };
    for (const [what, [credentials, reason]] of Object.entries(refusals)) {
      test(`the server refuses ${what}: ${reason}`, async (t) =>
        refusedByServer(t, await credentials(), reason));
    }

    test('revoked certificates are refused, issuers without a list are not', async (t) => {
      const below = await authority.intermediate();
      const revoked = await below.issue(id('client'));
      const fine = await below.issue(id('client'));
      const serial = new X509Certificate(revoked.certificateChain).serialNumber;
      const withList = { ...server, crls: await below.revoke(serial) };
      await refusedByServer(t, revoked, 'revoked', withList);
      const transport = create();
      const lab = tlsServer(t, transport, () => withList);
      await tlsClient(t, transport, lab.port, fine);
      await lab.next();
      const [, intermediate = ''] = revoked.certificateChain.split(
        /(?<=-----END CERTIFICATE-----\n)/,
      );
      const rootList = await authority.revoke(new X509Certificate(intermediate).serialNumber);
      await refusedByServer(t, fine, 'revoked', { ...server, crls: rootList });
      /* A list that its issuer has not signed says nothing. */
      const forged = await other.revoke(new X509Certificate(client.certificateChain).serialNumber);
      const forgedLab = tlsServer(t, transport, () => ({ ...server, crls: forged }));
      await tlsClient(t, transport, forgedLab.port, client);
    });

    test('the client takes accepted ids only', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      await assert.rejects(
        tlsClient(t, transport, lab.port, client, { acceptedIds: [id('someone-else')] }),
        { reason: 'unexpected-id' },
      );
      const foreign = tlsServer(t, transport, () => ({ ...foreignServer, roots: authority.roots }));
      await assert.rejects(tlsClient(t, transport, foreign.port, client), { reason: 'untrusted' });
      const old = await authority.issue(id('server'), { notAfter: Date.now() - 1000 });
      const oldLab = tlsServer(t, transport, () => old);
      await assert.rejects(tlsClient(t, transport, oldLab.port, client), { reason: 'expired' });
    });
    let foreignServer: TlsCredentials;
    before(async () => {
      foreignServer = await other.issue(id('server'));
    });

    test('connect errors are what they are', async (t) => {
      const transport = create();
      const closed = createServer().listen(0, '127.0.0.1');
      await until(() => closed.listening, 'port');
      const { port } = closed.address() as AddressInfo;
      closed.close();
      await assert.rejects(tlsClient(t, transport, port, client), { code: 'ECONNREFUSED' });
    });

    test('slow and foreign handshakes end', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server, { handshakeTimeoutMs: 200 });
      const silent = connectTcp(lab.port, '127.0.0.1');
      silent.on('error', () => undefined);
      const noise = connectTcp(lab.port, '127.0.0.1');
      noise.on('error', () => undefined);
      noise.end('GET / HTTP/1.1\r\n\r\n');
      const gone = connectTcp(lab.port, '127.0.0.1', () => gone.destroy());
      await until(() => lab.refused.length === 3, 'three refusals');
      assert.deepEqual(lab.refused.toSorted(), ['closed', 'handshake', 'timeout']);
      await until(() => silent.closed || silent.readableEnded, 'end of the silent client');
      silent.destroy();

      const mute = createServer((socket) => socket.on('error', () => undefined));
      mute.listen(0, '127.0.0.1');
      t.after(() => mute.close());
      await until(() => mute.listening, 'port');
      const { port } = mute.address() as AddressInfo;
      await assert.rejects(tlsClient(t, transport, port, client, { handshakeTimeoutMs: 200 }), {
        reason: 'timeout',
      });
    });

    test('the server side of the profile, as another client sees it', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const attempt = (options: object): Promise<string> =>
        new Promise((resolve) => {
          const socket = connectNodeTls({
            host: '127.0.0.1',
            port: lab.port,
            cert: client.certificateChain,
            key: client.privateKey,
            ca: authority.roots,
            checkServerIdentity: () => undefined,
            ALPNProtocols: ['h2'],
            ...options,
          });
          socket.on('error', (error) => resolve((error as { code?: string }).code ?? 'error'));
          socket.on('session', () => undefined);
          socket.on('secureConnect', () => {
            const { name: cipher } = socket.getCipher();
            resolve(`${socket.getProtocol()} ${cipher} ${socket.alpnProtocol}`);
            /* Not before the server has read our half of the handshake. */
            setTimeout(() => socket.destroy(), 50);
          });
        });
      assert.equal(await attempt({}), 'TLSv1.3 TLS_AES_256_GCM_SHA384 h2');
      assert.equal(
        await attempt({ ciphers: 'TLS_AES_128_GCM_SHA256' }),
        'TLSv1.3 TLS_AES_128_GCM_SHA256 h2',
      );
      assert.match(await attempt({ ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }), /HANDSHAKE_FAILURE/);
      assert.match(await attempt({ maxVersion: 'TLSv1.2' }), /PROTOCOL_VERSION/);
      assert.match(await attempt({ ALPNProtocols: ['http/1.1'] }), /NO_APPLICATION_PROTOCOL/);
      await until(() => lab.refused.length === 3, 'refusals');
      await attempt({ ALPNProtocols: undefined });
      await until(() => lab.refused.includes('no-alpn'), 'no-alpn');
      await attempt({ cert: undefined, key: undefined });
      await until(() => lab.refused.includes('no-certificate'), 'no-certificate');
    });

    test('the client side of the profile, as another server sees it', async (t) => {
      const transport = create();
      const seen: unknown[] = [];
      const node = createTlsServer(
        {
          cert: server.certificateChain,
          key: server.privateKey,
          ca: authority.roots,
          requestCert: true,
          ALPNProtocols: ['h2'],
          SNICallback: (host, done) => {
            seen.push(host);
            done(null);
          },
        },
        (socket) => {
          seen.push(socket.servername, socket.isSessionReused(), socket.getProtocol());
          socket.on('error', () => undefined);
          socket.end('hi');
        },
      ).listen(0, '127.0.0.1');
      t.after(() => node.close());
      await until(() => node.listening, 'port');
      const { port } = node.address() as AddressInfo;
      for (let round = 0; round < 2; round++) {
        const sink = new Sink(await tlsClient(t, transport, port, client));
        await until(() => sink.ended, 'end');
        sink.link.close(false);
      }
      assert.deepEqual(seen, [false, false, 'TLSv1.3', false, false, 'TLSv1.3']);
    });

    test('many handshakes at once', async (t) => {
      const transport = create();
      const lab = tlsServer(t, transport, () => server);
      const links = await Promise.all(
        Array.from({ length: 50 }, () => tlsClient(t, transport, lab.port, client)),
      );
      assert.equal(links.length, 50);
      await until(() => lab.accepted.length === 50, '50 connections');
    });

    test('plain sockets of the same transport go on', async (t) => {
      const transport = create();
      const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
      t.after(() => echo.close());
      await until(() => echo.listening, 'port');
      const { port } = echo.address() as AddressInfo;
      const sink = new Sink(await transport.connect(freshSocket(), { address: '127.0.0.1', port }));
      sink.link.send(Buffer.from('hello'));
      await until(() => sink.length === 5, 'echo');
      sink.link.close(false);
    });
  });
}
