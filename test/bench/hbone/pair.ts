/** Two ends of HBONE, podwire's or Envoy's, with an application behind them: what a driver connects to, and who pays. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TlsCredentials } from '../../../src/model/tls-credentials.ts';
import { envoyHboneClient, envoyHboneServer, startEnvoy } from '../../support/envoy-hbone.ts';
import type { EndOptions } from './end.ts';

export interface Ends {
  readonly client: TlsCredentials;
  readonly server: TlsCredentials;
  readonly trustDomain: string;
}

export interface Pair {
  /** where applications connect */
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export async function podwirePair(transport: string, ends: Ends, appPort: number): Promise<Pair> {
  const { client, server, trustDomain } = ends;
  const far = await startEnd({
    ...{ role: 'server', transport, trustDomain },
    credentials: server,
    peer: client.spiffe,
  });
  const near = await startEnd({
    ...{ role: 'client', transport, trustDomain },
    credentials: client,
    peer: server.spiffe,
    serverPort: far.port,
    authority: `127.0.0.1:${appPort}`,
  });
  return {
    port: near.port,
    pids: [near.child.pid ?? 0, far.child.pid ?? 0],
    stop: async () => {
      await Promise.all([near, far].map(({ child }) => leave(child)));
    },
  };
}

export async function startEnd(
  options: EndOptions,
): Promise<{ port: number; child: ChildProcess }> {
  const file = fileURLToPath(new URL('./end.js', import.meta.url));
  const child = spawn(process.execPath, [file, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! });
  const ended = once(child, 'exit').then(() => undefined);
  const first = await Promise.race([once(lines, 'line'), ended]);
  if (!first) throw new Error(`the ${options.role} end did not start`);
  const { ready } = JSON.parse(String(first[0])) as { ready: number };
  return { port: ready, child };
}

/** An end that is told so ends by itself, and writes what a profiler has gathered. */
async function leave(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

export async function envoyPair(envoy: string, ends: Ends, appPort: number): Promise<Pair> {
  const [near, far] = [await freePort(), await freePort()];
  const server = await startEnvoy(
    envoy,
    envoyHboneServer({
      port: far,
      apps: [{ authority: '*', host: '127.0.0.1', port: appPort }],
      credentials: ends.server,
      peer: ends.client.spiffe,
    }),
    far,
  );
  const client = await startEnvoy(
    envoy,
    envoyHboneClient({
      port: near,
      server: { host: '127.0.0.1', port: far },
      authority: `127.0.0.1:${appPort}`,
      credentials: ends.client,
      peer: ends.server.spiffe,
    }),
    near,
  );
  return {
    port: near,
    pids: [client.pid, server.pid],
    stop: async () => {
      await Promise.all([client.stop(), server.stop()]);
    },
  };
}
