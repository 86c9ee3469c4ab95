import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { DetectPrograms } from '../../src/agent/learn/detect-programs.ts';
import { Killer } from '../../src/agent/learn/killer.ts';
import { Processes } from '../../src/agent/learn/processes.ts';
import { StallDetector } from '../../src/agent/learn/stall-detector.ts';
import type { StallKill } from '../../src/agent/learn/stall-detector.ts';
import { SyscallSampler } from '../../src/agent/learn/syscall-sampler.ts';
import { eventually, openLab, SILENT } from './learn-lab.ts';
import type { Lab } from './learn-lab.ts';

/** Accepts N connections and (does not) read them as the first argument says. */
const READER = `
import ctypes, os, select, socket, sys, threading, time
kind, count = sys.argv[1], int(sys.argv[2])
listener = socket.create_server(("0.0.0.0", 7000), backlog=1000)
print("ready", flush=True)
conns = [listener.accept()[0] for _ in range(count)]
sink = os.open("/dev/null", os.O_WRONLY)
r, w = os.pipe()
def ended(what): os.write(1, f"ended {what}\\n".encode())
def one(conn):
    total = 0
    try:
        if kind == "splice": os.splice(conn.fileno(), w, 65536)
        elif kind == "slow":
            while chunk := conn.recv(700):
                assert chunk == bytes((total + i) % 251 for i in range(len(chunk)))
                total += len(chunk)
                time.sleep(0.9)
            os.write(1, f"read {total}\\n".encode())
            return
    except OSError as error: ended(error.strerror)
if kind in ("splice", "slow"):
    threads = [threading.Thread(target=one, args=(conn,)) for conn in conns]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
elif kind in ("epoll", "edge"):
    poller, live = select.epoll(), {conn.fileno(): conn for conn in conns}
    edge = select.EPOLLET | select.EPOLLOUT | select.EPOLLRDHUP if kind == "edge" else 0
    for conn in conns:
        conn.setblocking(False)
        poller.register(conn.fileno(), select.EPOLLIN | edge)
    while live:
        for fd, _ in poller.poll():
            try:
                if os.splice(fd, w, 65536, flags=2) == 0: raise OSError(0, "EOF")
            except BlockingIOError: pass
            except OSError as error:
                poller.unregister(fd); live.pop(fd).close(); ended(error.strerror)
elif kind == "io-uring":
    ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120))
    time.sleep(60)
elif kind == "in-flight":
    a, b = socket.socketpair()
    for conn in conns:
        socket.send_fds(a, [b"x"], [conn.fileno()])
        conn.close()
    time.sleep(60)
`;

/** Opens N connections, sends, and says how each ended. */
const WRITER = `
import socket, sys, time
server, count, size, after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
conns = [socket.create_connection((server, 7000)) for _ in range(count)]
time.sleep(0.2)
data = bytes(i % 251 for i in range(size))
for conn in conns: conn.sendall(data)
print("sent", flush=True)
if after:
    time.sleep(after)
    for conn in conns: conn.shutdown(socket.SHUT_WR)
for conn in conns:
    try:
        conn.settimeout(20)
        print("end", "eof" if conn.recv(1) == b"" else "data", flush=True)
    except OSError as error: print("end", error.strerror, flush=True)
`;

interface Healing {
  readonly lab: Lab;
  readonly detector: StallDetector;
  readonly kills: StallKill[];
}

function openPrograms(lab: Lab): DetectPrograms {
  const programs = new DetectPrograms({
    binding: lab.binding,
    objectPath: lab.objectPath('detect'),
    socks: lab.map('socks'),
    conns: lab.map('conns'),
  });
  lab.mesh.defer(() => programs.close());
  return programs;
}

function startHealing(context: TestContext): Healing {
  const lab = openLab(context, { detect: false });
  const programs = openPrograms(lab);
  const processes = new Processes();
  const kills: StallKill[] = [];
  const detector = new StallDetector({
    source: programs,
    killer: new Killer({ programs }),
    sampler: new SyscallSampler({ processes }),
    processes,
    pods: () => lab.pods,
    activity: () => lab.activity(),
    beforeKill: () => undefined,
    onKill: (kill) => kills.push(kill),
    log: SILENT,
  });
  lab.mesh.defer(() => detector.stop());
  detector.start();
  return { lab, detector, kills };
}

async function readAndWrite(
  { lab }: Healing,
  options: { kind: string; count: number; size?: number; after?: number },
) {
  const { kind, count, size = 5_000, after = 0 } = options;
  const script = lab.mesh.writeFile('reader.py', READER);
  const reader = lab.mesh.spawn('python3', [script, kind, `${count}`], { pod: lab.server });
  await reader.waitFor('ready');
  const args = [
    lab.mesh.writeFile('writer.py', WRITER),
    lab.server.v4,
    `${count}`,
    `${size}`,
    `${after}`,
  ];
  const writer = lab.mesh.spawn('python3', args, { pod: lab.client });
  await writer.waitFor('sent');
  return { reader, writer, sentMs: performance.now() };
}

function ends(output: string, word: string): string[] {
  return output.split('\n').filter((line) => line.startsWith(word));
}

for (const kind of ['splice', 'epoll', 'edge']) {
  test(`readers that ${kind === 'splice' ? 'block in' : kind} splice(2) are reset together`, async (context) => {
    const healing = startHealing(context);
    const { reader, writer, sentMs } = await readAndWrite(healing, { kind, count: 20 });
    await eventually('kills', () => healing.kills.length === 20, 5_000);
    const tookMs = performance.now() - sentMs;
    context.diagnostic(`20 connections reset ${Math.round(tookMs)} ms after the data was sent`);
    assert.equal(healing.lab.spliced(), 20n);
    assert.equal((await reader.ended).code, 0, reader.output());
    await writer.ended;
    assert.equal(ends(reader.output(), 'ended').length, 20, reader.output());
    assert.equal(ends(writer.output(), 'end').length, 20);
    assert.ok(!writer.output().includes('timed out'), writer.output());
    for (const kill of healing.kills) {
      assert.equal(kill.reason, 'splice');
      assert.match(kill.executable, /python3/);
      assert.equal(kill.pod.netnsPath, healing.lab.server.netnsPath);
      assert.ok(kill.trust.inode > 0n);
      assert.equal(kill.unreadBytes, 5_000);
    }
    assert.equal(healing.detector.counts().kills.splice, 20);
  });
}

test('slow readers are never reset and lose nothing', async (context) => {
  const healing = startHealing(context);
  const { reader, writer } = await readAndWrite(healing, { kind: 'slow', count: 30, after: 4 });
  const [done] = await Promise.all([reader.ended, writer.ended]);
  assert.equal(done.code, 0, done.stderr);
  assert.equal(ends(done.stdout, 'read 5000').length, 30);
  assert.deepEqual(healing.kills, []);
  const { checks } = healing.detector.counts();
  context.diagnostic(`${checks} checks`);
  assert.ok(checks >= 30);
});

test('a process with an io_uring that does not read for a second is reset', async (context) => {
  const healing = startHealing(context);
  const { reader, writer } = await readAndWrite(healing, { kind: 'io-uring', count: 1 });
  await eventually('a kill', () => healing.kills.length === 1, 8_000);
  assert.equal(healing.kills[0]?.reason, 'io-uring');
  assert.ok(healing.kills[0].stalledMs > 1_000);
  await writer.ended;
  await reader.stop('SIGKILL');
});

test('a socket that no process holds is reset after 5 s', async (context) => {
  const healing = startHealing(context);
  const { reader, writer } = await readAndWrite(healing, { kind: 'in-flight', count: 1 });
  await eventually('a kill', () => healing.kills.length === 1, 15_000);
  assert.equal(healing.kills[0]?.reason, 'no-owner');
  await writer.ended;
  await reader.stop('SIGKILL');
});

test('sockets are ended by cookie, the others are not touched', async (context) => {
  const healing = startHealing(context);
  const { lab } = healing;
  const { reader, writer } = await readAndWrite(healing, { kind: 'slow', count: 4, after: 1 });
  const programs = openPrograms(lab);
  const [first] = programs.stalls();
  assert.ok(first);
  const killer = new Killer({ programs });
  const elsewhere = { cookies: [first.cookie], netnsPaths: [lab.client.netnsPath] };
  assert.equal(killer.killSockets(elsewhere), 0);
  const here = { cookies: [first.cookie, 2n ** 60n], netnsPaths: [lab.server.netnsPath] };
  assert.equal(killer.killSockets(here), 1);
  assert.equal(killer.killed, 1);
  await Promise.all([reader.ended, writer.ended]);
  assert.equal(ends(reader.output(), 'read 5000').length, 3, reader.output());
});
