/** Sockets in other namespaces, their storage and addresses, locks and the rest of the machine. */
import assert from 'node:assert/strict';
import { mkdtempSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import { listTcpSockets } from '../../src/kernel/tcp-sockets.ts';
import { u32, u64 } from '../../src/kernel/typed-map.ts';
import { command, skipReason } from '../support/node.ts';
import { loadFixture, makeNetns, openDescriptors, refusal } from './native-fixture.ts';

const skip = skipReason();
const SOL_SOCKET = 1;
const SO_MARK = 36;
const SO_LINGER = 13;
const EAGAIN = 11;

test(
  'a listener and a client live in the namespace, this thread does not',
  { skip },
  async (context) => {
    const binding = loadBinding();
    const netnsPath = makeNetns(context);
    const home = readlinkSync('/proc/thread-self/ns/net');
    for (const [family, text] of [
      [4, '127.0.0.1'],
      [6, '::1'],
    ] as const) {
      const addr = addrFromText(text);
      const listener = binding.listenIn({ netnsPath, family, addr, port: 0, backlog: 5 });
      assert.ok(listener.port > 0);
      assert.deepEqual(binding.getsockname(listener.fd), { addr, port: listener.port });
      const listed = command('nsenter', [`--net=${netnsPath}`, 'ss', '-Hltn']);
      assert.match(listed, new RegExp(`:${listener.port}\\s`));
      assert.throws(
        () => binding.listenIn({ netnsPath, family, addr, port: listener.port, backlog: 5 }),
        refusal({ code: 'EADDRINUSE', errno: 98, syscall: 'bind' }),
      );
      const fd = binding.socketIn({ netnsPath, family });
      const socket = new Socket({ fd });
      socket.connect({ host: text, port: listener.port });
      await once(socket, 'connect');
      assert.deepEqual(binding.getpeername(fd), { addr, port: listener.port });
      socket.destroy();
      await once(socket, 'close');
      binding.closeFd(listener.fd);
    }
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), home);
  },
);

test('cookies of namespaces and sockets', { skip }, (context) => {
  const binding = loadBinding();
  const netnsPath = makeNetns(context);
  const own = binding.netnsCookie('/proc/self/ns/net');
  const other = binding.netnsCookie(netnsPath);
  assert.ok(own > 0n && other > 0n && own !== other);
  assert.equal(binding.netnsCookie(netnsPath), other);
  assert.throws(
    () => binding.netnsCookie('/nowhere'),
    refusal({ code: 'ENOENT', syscall: 'open' }),
  );
  const fd = binding.socketIn({ netnsPath, family: 4 });
  assert.ok(binding.socketCookie(fd) > 0n);
  binding.closeFd(fd);
  assert.throws(() => binding.socketCookie(fd), refusal({ code: 'EBADF', syscall: 'getsockopt' }));
});

test('TCP sockets of a namespace are listed, by cookie', { skip }, async (context) => {
  const binding = loadBinding();
  const netnsPath = makeNetns(context);
  const at = { netnsPath, port: 0, backlog: 5 } as const;
  for (const [family, text] of [
    [4, '127.0.0.1'],
    [6, '::1'],
  ] as const) {
    const { fd: listener, port } = binding.listenIn({ ...at, family, addr: addrFromText(text) });
    const fd = binding.socketIn({ netnsPath, family });
    const socket = new Socket({ fd }).connect({ host: text, port });
    await once(socket, 'connect');
    await new Promise((resolve) => socket.write('1234567', resolve));
    const sockets = listTcpSockets(binding, netnsPath);
    const own = sockets.find(({ cookie }) => cookie === binding.socketCookie(fd));
    const peer = sockets.find(({ remote }) => remote.port === own?.local.port);
    const listening = sockets.find(({ cookie }) => cookie === binding.socketCookie(listener));
    assert.deepEqual(own?.remote, { address: text, port });
    assert.deepEqual([peer?.local, peer?.remote], [own.remote, own.local]);
    assert.deepEqual(
      [own.state, peer?.state, listening?.state],
      ['established', 'established', 'listening'],
    );
    assert.deepEqual([own.bytesAcked, peer?.bytesReceived, own.bytesReceived], [8n, 7n, 0n]);
    assert.equal(sockets.length, 3);
    socket.resetAndDestroy();
    await once(socket, 'close');
    binding.closeFd(listener);
  }
  assert.throws(
    () => listTcpSockets(binding, '/run/netns/nowhere'),
    refusal({ code: 'ENOENT', syscall: 'open' }),
  );
  const nonsense = Uint8Array.from({ length: 16 }, (_, i) => [16, 0, 0, 0, 20, 0, 1, 3][i] ?? 0);
  assert.throws(
    () => binding.sockDiag(netnsPath, nonsense),
    refusal({ code: 'EINVAL', syscall: 'sock_diag' }),
  );
});

test('reset on close is set with the socket, and taken back', { skip }, () => {
  const binding = loadBinding();
  const fd = binding.socketIn({ netnsPath: null, family: 4, resetOnClose: true });
  assert.equal(binding.getSockOptInt(fd, SOL_SOCKET, SO_LINGER), 1);
  binding.setResetOnClose(fd, false);
  assert.equal(binding.getSockOptInt(fd, SOL_SOCKET, SO_LINGER), 0);
  binding.closeFd(fd);
  const plain = binding.socketIn({ netnsPath: null, family: 4 });
  assert.equal(binding.getSockOptInt(plain, SOL_SOCKET, SO_LINGER), 0);
  binding.closeFd(plain);
  const gone = refusal({ code: 'EBADF', syscall: 'setsockopt' });
  assert.throws(() => binding.setResetOnClose(plain, true), gone);
});

test('storage and sockhash slot are set with the socket', { skip }, (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  const marks = object.map('marks');
  const socks = object.map('socks');
  const netnsPath = makeNetns(context);
  const listener = binding.listenIn({
    ...{ netnsPath, family: 4, addr: addrFromText('0.0.0.0'), port: 0, backlog: 1 },
    storage: { map: marks, value: u64.encode(11n) },
    slot: { map: socks, key: u32.encode(2) },
  });
  assert.deepEqual(binding.getSocketStorage(marks, listener.fd), u64.encode(11n));
  assert.deepEqual(socks.lookup(u32.encode(2)), u64.encode(binding.socketCookie(listener.fd)));
  const fd = binding.socketIn({ netnsPath: null, family: 6 });
  assert.equal(binding.getSocketStorage(marks, fd), undefined);
  binding.setSocketStorage(marks, fd, u64.encode(12n));
  assert.deepEqual(binding.getSocketStorage(marks, fd), u64.encode(12n));
  assert.throws(
    () => binding.setSocketStorage(marks, 0x7fff, u64.encode(1n)),
    refusal({ code: 'EBADF', syscall: 'bpf_map_update_elem' }),
  );
  assert.throws(
    () => binding.setSocketStorage(marks, fd, u32.encode(1)),
    refusal({ code: 'EINVAL' }),
  );
  binding.closeFd(fd);
  binding.closeFd(listener.fd);
});

test(
  'a listener that fails half-way leaves no descriptor and stays at home',
  { skip },
  (context) => {
    const binding = loadBinding();
    const object = loadFixture(context, binding);
    const netnsPath = makeNetns(context);
    const home = readlinkSync('/proc/thread-self/ns/net');
    const before = openDescriptors();
    const listen = {
      netnsPath,
      family: 4,
      addr: addrFromText('192.0.2.1'),
      port: 0,
      backlog: 1,
    } as const;
    assert.throws(
      () => binding.listenIn(listen),
      refusal({ code: 'EADDRNOTAVAIL', syscall: 'bind' }),
    );
    assert.throws(
      () =>
        binding.listenIn({
          ...{ ...listen, addr: addrFromText('127.0.0.1') },
          slot: { map: object.map('socks'), key: new Uint8Array(2) },
        }),
      RangeError,
    );
    assert.equal(openDescriptors(), before);
    assert.equal(readlinkSync('/proc/thread-self/ns/net'), home);
  },
);

test('send, receive, FIONREAD and options by descriptor', { skip }, async () => {
  const binding = loadBinding();
  const addr = addrFromText('127.0.0.1');
  const listener = binding.listenIn({ netnsPath: null, family: 4, addr, port: 0, backlog: 1 });
  const socket = new Socket({ fd: binding.socketIn({ netnsPath: null, family: 4 }) });
  socket.connect(listener.port, '127.0.0.1');
  await once(socket, 'connect');
  const fd = binding.dupFd((socket as unknown as { _handle: { fd: number } })._handle.fd);
  binding.setSockOptInt(fd, SOL_SOCKET, SO_MARK, 77);
  assert.equal(binding.getSockOptInt(fd, SOL_SOCKET, SO_MARK), 77);
  assert.equal(binding.sendNow(fd, Buffer.from('hello')), 5);
  assert.equal(binding.bytesReadable(fd), 0);
  assert.equal(binding.recvNow(fd, new Uint8Array(8)), -EAGAIN);
  socket.destroy();
  await once(socket, 'close');
  binding.closeFd(fd);
  binding.closeFd(listener.fd);
  assert.equal(binding.sendNow(fd, Buffer.from('x')), -9 /* EBADF */);
  assert.throws(() => binding.closeFd(fd), refusal({ code: 'EBADF', syscall: 'close' }));
  assert.throws(() => binding.getsockname(fd), refusal({ code: 'EBADF', syscall: 'getsockname' }));
});

test('a lock is held by one descriptor at a time', { skip }, (context) => {
  const binding = loadBinding();
  const folder = mkdtempSync(join(tmpdir(), 'podwire-test-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'lock');
  const fd = binding.tryLock(path);
  assert.ok(fd !== undefined);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(binding.tryLock(path), undefined);
  binding.closeFd(fd);
  const again = binding.tryLock(path);
  assert.ok(again !== undefined);
  binding.closeFd(again);
  assert.throws(
    () => binding.tryLock('/nowhere/lock'),
    refusal({ code: 'ENOENT', syscall: 'open' }),
  );
});

test('file systems, limits, CPUs, clock', { skip }, () => {
  const binding = loadBinding();
  assert.equal(binding.fsType('/sys/fs/bpf'), 0xcafe4a11);
  assert.throws(() => binding.fsType('/nowhere'), refusal({ code: 'ENOENT', syscall: 'statfs' }));
  assert.throws(
    () => binding.mountFs('bpf', '/nowhere'),
    refusal({ code: 'ENOENT', syscall: 'mount' }),
  );
  const [soft, hard] = binding.raiseLimits();
  assert.equal(soft, hard);
  assert.ok(binding.possibleCpus() >= 1);
  assert.match(binding.libbpfVersion(), /^v\d+\.\d+$/);
  const before = process.hrtime.bigint();
  const now = binding.monotonicNs();
  assert.ok(now >= before && now <= process.hrtime.bigint());
});
