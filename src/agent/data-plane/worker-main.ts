/** Entry of a data-plane worker thread: listeners of every pod, served by the proxy. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadBinding } from '../../kernel/binding.ts';
import { ConnectionTable } from '../../proxy/connection-table.ts';
import { NetTransport } from '../../proxy/net-transport.ts';
import { TcpProxy } from '../../proxy/tcp-proxy.ts';
import { PodKernelPort } from './kernel-port.ts';
import { PolicyGuard } from './policy-guard.ts';
import { PolicyView } from './policy-view.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.ts';

/**
 * Between the slot's removal and the listener's close: a connect that saw the slot a moment before sends its SYN, a handshake
 * over the wire completes, and the accept queue is emptied. A listener that closes first would reset them.
 */
const ACCEPT_GRACE_MS = 200;

/**
 * Live connections are ended by the main thread, which also says why. What a busy worker admitted by the policy before is
 * ended here a little later.
 */
const ENFORCE_AFTER_MS = 40;

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
  const policies = new PolicyView();
  const say = (message: FromWorker): void => port.postMessage(message);
  const proxy = new TcpProxy({
    transport,
    table,
    kernel: new PodKernelPort({
      binding,
      records: binding.mapFromFd(setup.records),
      agentSocks: binding.mapFromFd(setup.agentSocks),
    }),
    guard: new PolicyGuard({ policies, tell: (denial) => say({ kind: 'denied', denial }) }),
  });
  const listeners = new Map<number, { close(): void }[]>();

  /** Its slots are empty already. */
  const unlisten = async (podId: number): Promise<void> => {
    const retired = listeners.get(podId) ?? [];
    listeners.delete(podId);
    await sleep(ACCEPT_GRACE_MS);
    for (const listener of retired) listener.close();
  };

  const drain = async (deadlineMs: number): Promise<void> => {
    const end = Date.now() + deadlineMs;
    await Promise.all([...listeners.keys()].map(unlisten));
    while (table.size > 0 && Date.now() < end) await sleep(20);
    say({ kind: 'drained', cut: table.closeWhere(() => true) });
  };

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'listen': {
        const { listener } = message;
        const server = transport.listen(message.fd, (accepted) => proxy.accept(listener, accepted));
        listeners.set(listener.podId, [...(listeners.get(listener.podId) ?? []), server]);
        say({ kind: 'listening', fd: message.fd });
        break;
      }
      case 'policies':
        policies.update(message.changes);
        setTimeout(() => proxy.enforce(), ENFORCE_AFTER_MS);
        break;
      case 'unlisten':
        void unlisten(message.podId);
        break;
      case 'stats': {
        const { opened, failed, refused, denied, size: live } = table;
        say({ kind: 'stats', id: message.id, stats: { live, opened, failed, refused, denied } });
        break;
      }
      case 'drain':
        void drain(message.deadlineMs);
        break;
    }
  });
}

main();
