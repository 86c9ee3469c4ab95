import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Events } from '../../src/kernel/events.ts';
import { ExecutableInspector } from '../../src/agent/learn/executable.ts';
import { ListenerAdoption } from '../../src/agent/learn/listeners.ts';
import { Observation } from '../../src/agent/learn/observation.ts';
import { Observer } from '../../src/agent/learn/observer.ts';
import { Processes } from '../../src/agent/learn/processes.ts';
import { TrustMap } from '../../src/agent/learn/trust-map.ts';
import { TrustStore } from '../../src/agent/learn/trust-store.ts';
import { TrustState } from '../../src/kernel/abi/layout.gen.ts';
import { eventually, openLab, SILENT } from './learn-lab.ts';
import type { Lab } from './learn-lab.ts';

/** Answers each connection's line with itself; reads as the argument says. */
const SERVER = `
import os, socket, sys
listener = socket.create_server(("0.0.0.0", 7000))
print("ready", flush=True)
r, w = os.pipe()
while True:
    conn, _ = listener.accept()
    if sys.argv[1] == "waitall": data = conn.recv(6, socket.MSG_WAITALL)
    else: data = conn.recv(6)
    conn.sendall(data)
    conn.close()
`;

const CLIENT = `
import socket, sys, time
for i in range(int(sys.argv[2])):
    conn = socket.create_connection((sys.argv[1], 7000), timeout=10)
    conn.sendall(b"hello\\n")
    assert conn.recv(10) == b"hello\\n"
    conn.close()
    time.sleep(float(sys.argv[3]))
`;

function startLearning(context: TestContext): { lab: Lab; observer: Observer; trust: TrustMap } {
  const lab = openLab(context, { detect: true });
  const { binding, mesh } = lab;
  const processes = new Processes();
  const observation = new Observation({
    binding,
    objectPath: lab.objectPath('observe'),
    conns: lab.map('conns'),
  });
  mesh.defer(() => observation.close());
  const adoption = new ListenerAdoption({
    adopt: () => lab.readAdopted(),
    argvHashes: lab.map('argv_hashes'),
    processes,
  });
  const observer = new Observer({
    trust: lab.map('trust'),
    observation,
    inspector: new ExecutableInspector({ processes }),
    processes,
    store: new TrustStore({ folder: mesh.folder, log: SILENT }),
    pods: () => lab.pods,
    onInterpreter: () => adoption.run(),
    log: SILENT,
  });
  mesh.defer(() => observer.stop());
  observer.start();
  const ignore = (): void => undefined;
  const events = new Events({
    binding,
    handlers: {
      ...{ closed: ignore, denied: ignore, met: ignore, delivered: ignore },
      trust: (event) => observer.onTrustEvent(event),
      failed(error) {
        throw error;
      },
    },
  });
  mesh.defer(() => events.close());
  events.start([{ map: lab.map('events'), generation: 1 }]);
  return { lab, observer, trust: new TrustMap(lab.map('trust')) };
}

function decided(trust: TrustMap): string[] {
  return [...trust.entries().values()]
    .filter(({ flags }) => !flags.interpreter)
    .map(({ trust: { state, reason } }) => `${state} ${reason}`)
    .toSorted();
}

test('two Python programs are learnt and then spliced', async (context) => {
  const { lab, observer, trust } = startLearning(context);
  const { mesh, client, server } = lab;
  const script = mesh.writeFile('server.py', SERVER);
  const service = mesh.spawn('python3', [script, 'recv'], { pod: server });
  await service.waitFor('ready');
  const program = mesh.writeFile('client.py', CLIENT);
  const learning = await mesh.run('python3', [program, server.v4, '20', '0.25'], { pod: client });
  assert.equal(learning.stderr, '');
  const both = [`${TrustState.TRUSTED} 0`, `${TrustState.TRUSTED} 0`];
  await eventually('two decisions', () => decided(trust).join() === both.join());
  const before = lab.spliced();
  const after = await mesh.run('python3', [program, server.v4, '20', '0.25'], { pod: client });
  assert.equal(after.stderr, '');
  assert.equal(lab.spliced() - before, 20n);
  await eventually('detached', () => !observer.status().attached);
  assert.equal(observer.status().learning, 0);
  await service.stop();
});

test('a program that reads with MSG_WAITALL is denied, another of the same interpreter is not', async (context) => {
  const { lab, trust } = startLearning(context);
  const { mesh, client, server } = lab;
  const script = mesh.writeFile('server.py', SERVER);
  const service = mesh.spawn('python3', [script, 'waitall'], { pod: server });
  await service.waitFor('ready');
  const program = mesh.writeFile('client.py', CLIENT);
  const args = [program, server.v4, '25', '0.2'];
  const done = await mesh.run('python3', args, { pod: client });
  assert.equal(done.stderr, '');
  const expected = [`${TrustState.TRUSTED} 0`, `${TrustState.DENIED} 3`];
  await eventually('two decisions', () => decided(trust).join() === expected.join());
  const before = lab.spliced();
  await mesh.run('python3', args, { pod: client });
  assert.equal(lab.spliced(), before);
  await service.stop();
});
