/** Entry of a data-plane worker thread: listeners of every pod, served by the proxy. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadBinding } from '../../kernel/binding.ts';
import { ConnectionTable } from '../../proxy/connection-table.ts';
import { NetTransport } from '../../proxy/net-transport.ts';
import { TcpProxy, type ListenerInfo } from '../../proxy/tcp-proxy.ts';
import { CertificateView } from './certificate-view.ts';
import { PodKernelPort } from './kernel-port.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.ts';

/**
 * Between the slot's removal and the listener's close: a connect that saw the slot a moment before sends its SYN, a handshake
 * over the wire completes, and the accept queue is emptied. A listener that closes first would reset them.
 */
const ACCEPT_GRACE_MS = 200;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function main(): void {
  const port = parentPort;
  if (!port) throw new Error('worker-main.ts runs in a worker thread only');
  const setup = workerData as WorkerSetup;
  const binding = loadBinding();
  const transport = new NetTransport({
    closeOrderly: (fd) => binding.setResetOnClose(fd, false),
  });
  const table = new ConnectionTable();
  const proxy = new TcpProxy({
    transport,
    table,
    kernel: new PodKernelPort({
      binding,
      records: binding.mapFromFd(setup.records),
      agentSocks: binding.mapFromFd(setup.agentSocks),
    }),
  });
  const listeners: { readonly info: ListenerInfo; close(): void }[] = [];
  const say = (message: FromWorker): void => port.postMessage(message);

  const certificates = new CertificateView((spiffe) => say({ kind: 'want', spiffe }));

  /** Its slots are empty already. */
  const retire = async (which: (info: ListenerInfo) => boolean): Promise<void> => {
    const retired = listeners.filter(({ info }) => which(info));
    listeners.splice(0, listeners.length, ...listeners.filter(({ info }) => !which(info)));
    await sleep(ACCEPT_GRACE_MS);
    for (const listener of retired) listener.close();
  };

  const drain = async (deadlineMs: number): Promise<void> => {
    const end = Date.now() + deadlineMs;
    await retire(() => true);
    while (table.size > 0 && Date.now() < end) await sleep(20);
    say({ kind: 'drained', cut: table.closeWhere(() => true) });
  };

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'listen': {
        const { listener } = message;
        const server = transport.listen(message.fd, (accepted) => proxy.accept(listener, accepted));
        listeners.push({ info: listener, close: () => server.close() });
        say({ kind: 'listening', fd: message.fd });
        break;
      }
      case 'unlisten':
        void retire(({ podId, role }) => podId === message.podId && message.roles.includes(role));
        break;
      case 'credentials':
        certificates.set(message.spiffe, message.credentials);
        break;
      case 'revocations':
        certificates.revoke(message.list);
        break;
      case 'stats': {
        const { opened, failed, refused, size: live } = table;
        say({ kind: 'stats', id: message.id, stats: { live, opened, failed, refused } });
        break;
      }
      case 'drain':
        void drain(message.deadlineMs);
        break;
    }
  });
}

main();
