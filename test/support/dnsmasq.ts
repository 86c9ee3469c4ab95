/**
 * A real DNS server of a test, dnsmasq, on a loopback port of its own; its zone is `example`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DnsServer } from '../../src/control/sources/dns/resolver.ts';
import { DnsResolver } from '../../src/control/sources/dns/resolver.ts';
import { findProgram } from './node.ts';

export interface Zone {
  /** host → addresses */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** "name,target,port,priority,weight" */
  readonly srv?: readonly string[];
  readonly ttlSeconds?: number;
}

export class Dnsmasq {
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.#port = port;
  }

  static async start(zone: Zone): Promise<Dnsmasq> {
    const server = new Dnsmasq(await freeUdpPort());
    await server.serve(zone);
    return server;
  }

  get server(): DnsServer {
    return { address: '127.0.0.1', port: this.#port };
  }

  /** Starts anew with another zone. */
  async serve({ hosts = {}, srv = [], ttlSeconds = 1 }: Zone): Promise<void> {
    await this.stop();
    const program = findProgram('dnsmasq');
    if (program === undefined) throw new Error('dnsmasq is missing: Debian package dnsmasq-base');
    const records = Object.entries({ ...hosts, 'ready.example': ['10.255.255.254'] });
    const child = spawn(
      'setpriv',
      [
        ...[
          '--pdeathsig',
          'KILL',
          '--',
          program,
          '--no-daemon',
          '--conf-file=/dev/null',
          '--pid-file',
        ],
        ...['--no-resolv', '--no-hosts', '--bind-interfaces', '--listen-address=127.0.0.1'],
        ...['--except-interface=none', `--port=${this.#port}`, '--local=/example/'],
        `--local-ttl=${ttlSeconds}`,
        ...records.map(([host, addresses]) => `--host-record=${[host, ...addresses].join(',')}`),
        ...srv.map((record) => `--srv-host=${record}`),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#process = child;
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const resolver = new DnsResolver([this.server], 200);
    const signal = AbortSignal.timeout(10_000);
    for (;;) {
      if (child.exitCode !== null || signal.aborted)
        throw new Error(`dnsmasq does not answer: ${log}`);
      if (await resolver.ask('ready.example', 'A', signal).catch(() => undefined)) return;
      await sleep(20);
    }
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
