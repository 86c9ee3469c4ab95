/** Entry of a data-plane worker thread: listeners of every pod, served by the proxy. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadBinding } from '../../kernel/binding.ts';
import { DataPlane } from './data-plane.ts';
import { MainThread } from './main-thread.ts';
import type { FromWorker, ToWorker, WorkerSetup } from './messages.ts';

function main(): void {
  const port = parentPort;
  if (!port) throw new Error('worker-main.ts runs in a worker thread only');
  const say = (message: FromWorker): void => port.postMessage(message);
  const main = new MainThread(say);
  const plane = new DataPlane({
    binding: loadBinding(),
    setup: workerData as WorkerSetup,
    main,
  });

  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'listen':
        plane.listen(message.listener, message.fd);
        say({ kind: 'listening', fd: message.fd });
        break;
      case 'policies':
        plane.setPolicies(message.changes);
        break;
      case 'unlisten':
        void plane.retire(
          ({ podId, role }) => podId === message.podId && message.roles.includes(role),
        );
        break;
      case 'credentials':
        plane.certificates.set(message.spiffe, message.credentials);
        break;
      case 'revocations':
        plane.certificates.revoke(message.list);
        break;
      case 'tunnel-pods':
        plane.replacePods(message.pods);
        break;
      case 'mesh-changed':
        main.meshChanged();
        break;
      case 'answer':
        main.answered(message.id, message.answer);
        break;
      case 'stats':
        say({ kind: 'stats', id: message.id, stats: plane.stats() });
        break;
      case 'drain':
        void plane.drain(message.deadlineMs).then((cut) => say({ kind: 'drained', cut }));
        break;
    }
  });
}

main();
