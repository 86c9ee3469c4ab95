import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Observation } from '../../src/agent/learn/observation.ts';
import { Processes } from '../../src/agent/learn/processes.ts';
import { openLab } from './learn-lab.ts';

/** One call per argument on a socket pair over TCP loopback. */
const CALLS = `
import ctypes, os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
a = socket.create_connection(listener.getsockname())
b, _ = listener.accept()
a.sendall(b"x" * 100)
r, w = os.pipe()
libc = ctypes.CDLL(None, use_errno=True)
for what in sys.argv[1:]:
    if what == "recv": b.recv(1)
    if what == "peek": b.recv(1, socket.MSG_PEEK)
    if what == "splice": os.splice(b.fileno(), w, 1)
    if what == "splice-pipe": os.write(w, b"y"); os.splice(r, a.fileno(), 1)
    if what == "tee": libc.tee(r, w, 1, 2)
    if what == "waitall": b.recv(2, socket.MSG_WAITALL)
    if what == "trunc": b.recvmsg(1, 0, socket.MSG_TRUNC)
    if what == "oob":
        try: b.recv(1, socket.MSG_OOB)
        except OSError: pass
    if what == "io-uring": libc.syscall(425, 1, ctypes.create_string_buffer(120))
    if what == "udp-waitall":
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
        u.sendto(b"z", u.getsockname()); u.recv(1, socket.MSG_WAITALL)
`;

test('the observer sees what a spliced socket cannot serve, in watched namespaces only', async (context) => {
  const lab = openLab(context, { detect: true });
  const { mesh, binding } = lab;
  const observation = new Observation({
    binding,
    objectPath: lab.objectPath('observe'),
    conns: lab.map('conns'),
  });
  mesh.defer(() => observation.close());
  const python = (pod: typeof lab.client, ...calls: string[]) =>
    mesh.run('python3', [mesh.writeFile('calls.py', CALLS), ...calls], { pod });
  const [client] = lab.pods;
  assert.ok(client);

  await context.test('nothing is seen before it is attached', async () => {
    observation.watch(new Set([client.netns]));
    await python(lab.client, 'splice');
    assert.deepEqual(observation.observed(), []);
  });

  observation.attach();
  for (const what of ['splice', 'tee', 'waitall', 'trunc', 'oob', 'io-uring'] as const) {
    await context.test(`${what} is seen`, async () => {
      const before = new Set(observation.observed().map((seen) => seen.key.argv));
      const done = await python(lab.client, what);
      assert.equal(done.stderr, '');
      const [seen, ...others] = observation.observed().filter(({ key }) => !before.has(key.argv));
      assert.ok(seen);
      assert.equal(others.length, 0);
      assert.equal(seen.key.netns, client.netns);
      const name = { splice: 'splice-out', tee: 'tee-vmsplice' }[what as string] ?? what;
      assert.deepEqual([...seen.behaviours], [name]);
    });
  }

  await context.test('harmless calls and other sockets are not', async () => {
    const before = observation.observed().length;
    const done = await python(lab.client, 'recv', 'peek', 'splice-pipe', 'udp-waitall');
    assert.equal(done.stderr, '');
    assert.equal(observation.observed().length, before);
  });

  await context.test('other namespaces are not watched', async () => {
    const before = observation.observed().length;
    await python(lab.server, 'splice');
    assert.equal(observation.observed().length, before);
  });

  await context.test('nothing is seen after it is detached', async () => {
    observation.detach();
    const before = observation.observed().length;
    await python(lab.client, 'waitall', 'recv');
    assert.equal(observation.observed().length, before);
  });
});

test('the kernel and /proc agree on executable and arguments', async (context) => {
  const lab = openLab(context, { detect: true });
  const observation = new Observation({
    binding: lab.binding,
    objectPath: lab.objectPath('observe'),
    conns: lab.map('conns'),
  });
  lab.mesh.defer(() => observation.close());
  observation.watch(new Set(lab.pods.map((pod) => pod.netns)));
  observation.attach();
  const script = lab.mesh.writeFile(
    'calls.py',
    `${CALLS}print("done", flush=True)\ntime.sleep(60)`,
  );
  const program = lab.mesh.spawn('python3', [script, 'splice'], { pod: lab.client });
  await program.waitFor('done');
  const [seen] = observation.observed();
  assert.ok(seen);
  const processes = new Processes();
  const { inode, device } = seen.key;
  assert.deepEqual(processes.executableId(program.pid), { inode, device });
  assert.equal(processes.argvHash(program.pid), seen.key.argv);
  assert.ok(processes.runs(program.pid, seen.key));
  assert.ok(processes.running(seen.key).includes(program.pid));
  await program.stop();
});
