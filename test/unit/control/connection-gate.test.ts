/**
 * Connections without a credential: bounded, the oldest first to go, and not counted once they are known.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { until } from '../../support/xds-server.ts';
import { ConnectionGate, type GateLimits } from '../../../src/control/connection-gate.ts';

interface Place {
  readonly gate: ConnectionGate;
  readonly open: (localAddress?: string) => Promise<Socket>;
}

async function place(t: TestContext, limits: Partial<GateLimits>): Promise<Place> {
  const gate = new ConnectionGate(limits);
  const clients: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    gate.enter(socket);
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const client of clients) client.destroy();
    gate.close();
    server.close();
  });
  const open = async (localAddress = '127.0.0.1'): Promise<Socket> => {
    const { port } = server.address() as AddressInfo;
    const entered = once(server, 'connection');
    const client = connect({ host: '127.0.0.1', port, localAddress });
    client.on('error', () => {}).resume();
    clients.push(client);
    await Promise.all([once(client, 'connect'), entered]);
    return client;
  };
  return { gate, open };
}

const peerOf = ({ localAddress, localPort }: Socket): string => `${localAddress}:${localPort}`;
const closed = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await once(socket, 'close');
};

test('at the limit the oldest that said nothing makes room, never one that is known', async (t) => {
  const { gate, open } = await place(t, { strangers: 3, strangersPerAddress: 100 });
  const agent = await open();
  gate.known(peerOf(agent));
  const first = await open();
  const others = [await open(), await open()];
  assert.deepEqual(gate.numbers, { connections: 4, strangers: 3, dropped: 0 });
  others.push(await open());
  await closed(first);
  assert.equal(gate.numbers.dropped, 1);
  assert.equal(gate.numbers.strangers, 3);
  assert.ok(!agent.closed && others.every((each) => !each.closed));
});

test('one address cannot take the room of the others', async (t) => {
  const { gate, open } = await place(t, { strangers: 4, strangersPerAddress: 2 });
  const quiet = await open('127.0.0.2');
  const loud = await open('127.0.0.3');
  for (let count = 0; count < 10; count++) await open('127.0.0.3');
  await closed(loud);
  assert.ok(!quiet.closed);
  assert.equal(gate.numbers.strangers, 3);
  assert.equal(gate.numbers.dropped, 9);
});

test('who says nothing for too long is dropped; who is known, or has left, is forgotten', async (t) => {
  const { gate, open } = await place(t, { strangerMs: 200 });
  const [known, left, silent] = [await open(), await open(), await open()];
  gate.known(peerOf(known));
  gate.known('127.0.0.1:1');
  left.end();
  await Promise.all([closed(left), closed(silent)]);
  await until('their ends', () => gate.numbers.connections === 1);
  assert.deepEqual(gate.numbers, { connections: 1, strangers: 0, dropped: 1 });
  assert.ok(!known.closed);
});
