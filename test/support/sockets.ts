/** Sockets by descriptor on loopback, as the agent hands them to a transport. */
import { type Binding, loadBinding } from '../../src/kernel/binding.ts';
import { BatchedTransport } from '../../src/proxy/batched-transport.ts';
import { NetTransport } from '../../src/proxy/net-transport.ts';
import type { Transport } from '../../src/proxy/transport.ts';

const V4_LOOPBACK = Buffer.from('00000000000000000000ffff7f000001', 'hex');
const V6_LOOPBACK = Buffer.from('00000000000000000000000000000001', 'hex');

let binding: Binding | undefined;

function addon(): Binding {
  return (binding ??= loadBinding());
}

export function listeningSocket(family: 4 | 6 = 4): { fd: number; port: number } {
  const addr = family === 4 ? V4_LOOPBACK : V6_LOOPBACK;
  return addon().listenIn({
    netnsPath: null,
    family,
    addr,
    port: 0,
    backlog: 4096,
    resetOnClose: true,
  });
}

export function freshSocket(family: 4 | 6 = 4): number {
  return addon().socketIn({ netnsPath: null, family, resetOnClose: true });
}

/** A suite over the transport contract runs for each of these. */
export const TRANSPORTS: readonly { readonly name: string; readonly create: () => Transport }[] = [
  {
    name: 'net',
    create: () => new NetTransport({ closeOrderly: (fd) => addon().setResetOnClose(fd, false) }),
  },
  { name: 'batched', create: () => new BatchedTransport({ port: addon() }) },
];
