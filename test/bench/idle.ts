/**
 * What open connections cost whoever carries them, by the resident memory of the mesh before and after.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { driverProgram, stop, type Route } from './drivers.ts';
import type { VariantName } from './options.ts';
import { isListening, rssMiB } from './process-usage.ts';
import type { IdleResult } from './result.ts';
import { NETNS_FOLDER } from './sandbox.ts';
import type { Sandbox } from './sandbox.ts';
import { TCP_PORTS } from './shapes.ts';
import { waitFor } from './wait.ts';

const START_MS = 10_000;
const OPEN_MS = 180_000;
/** what was used once and is free again goes back to the kernel, as far as it does */
const SETTLE_MS = 1_000;
const SETTLE_MS_EACH = 0.2;
const KIB_PER_MIB = 1024;

export async function measureIdle(input: {
  readonly sandbox: Sandbox;
  readonly variant: VariantName;
  readonly route: Route;
  readonly connections: number;
  readonly signal: AbortSignal;
}): Promise<IdleResult> {
  const { sandbox, variant, route, connections, signal } = input;
  const { serverAddress, meshPids } = route;
  const [port = 0] = TCP_PORTS;
  const address = `${serverAddress}:${port}`;
  const program = driverProgram('bench-idle');
  const weigh = async (): Promise<number> => {
    await sleep(SETTLE_MS + connections * SETTLE_MS_EACH, undefined, { signal });
    return meshPids.reduce((sum, pid) => sum + rssMiB(pid), 0);
  };
  const server = sandbox.start(program, ['serve', address], { place: route.server });
  const netns = `${NETNS_FOLDER}/${route.server.netns}`;
  let said = '';
  try {
    await waitFor({
      ...{ what: 'the server', child: server, timeoutMs: START_MS, signal },
      isReady: (pid) => isListening(pid, netns, port),
      explain: () => '',
    });
    const beforeMiB = await weigh();
    const client = sandbox.start(program, ['dial', address, String(connections)], {
      place: route.client,
    });
    try {
      for (const stream of [client.stdout, client.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => (said += text));
      }
      await waitFor({
        ...{ what: 'the client', child: client, timeoutMs: OPEN_MS, signal },
        isReady: () => said.startsWith('open'),
        explain: () => said,
      });
      const afterMiB = await weigh();
      const kibPerConnection = ((afterMiB - beforeMiB) * KIB_PER_MIB) / connections;
      return { variant, connections, beforeMiB, afterMiB, kibPerConnection };
    } finally {
      await stop(client);
    }
  } finally {
    await stop(server);
  }
}
