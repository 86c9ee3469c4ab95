/**
 * `node dist/test/bench/hbone/memory.js [tunnels] [transport]`: resident memory of a client and a server process for each idle
 * tunnelled connection, the application's and the driver's sockets not counted.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { rssMiB } from '../process-usage.ts';
import { freePort, podwirePair, stop } from './pair.ts';

const AT_ONCE = 100;
const SETTLE_MS = 2000;

/** In a process of its own: both ends of all connections would be too many descriptors for one. */
const APPLICATION = `require('net').createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', (bytes) => socket.write(bytes));
}).listen({ port: Number(process.argv[1]), host: '127.0.0.1', backlog: 4096 }, () => console.log('ready'))`;

const [tunnels = '10000', transport = 'net'] = process.argv.slice(2);
const count = Number(tunnels);
const authority = await SpiffeAuthority.create();
const appPort = await freePort();
const app = spawn(process.execPath, ['-e', APPLICATION, String(appPort)]);
await once(app.stdout, 'data');
const pair = await podwirePair(
  transport,
  {
    client: await authority.issue('spiffe://cluster.local/ns/default/sa/client'),
    server: await authority.issue('spiffe://cluster.local/ns/default/sa/server'),
    trustDomain: 'cluster.local',
  },
  appPort,
);

async function open(number: number): Promise<Socket[]> {
  return Promise.all(
    Array.from({ length: number }, async () => {
      const socket = connect(pair.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write('x');
      await once(socket, 'data');
      return socket;
    }),
  );
}

await open(AT_ONCE);
await sleep(SETTLE_MS);
const before = pair.pids.map(rssMiB);
for (let opened = 0; opened < count; opened += AT_ONCE) await open(AT_ONCE);
await sleep(SETTLE_MS);
const grown = pair.pids.map((pid, index) => ((rssMiB(pid) - (before[index] ?? 0)) * 1024) / count);
console.log(
  `${count} idle tunnels over ${transport}: ${grown[0]?.toFixed(1)} KiB client, ${grown[1]?.toFixed(1)} KiB server each`,
);
await pair.stop();
await stop(app);
process.exit(0);
