/**
 * The xDS client under test with a real store behind it: what it published, and waiting for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Authorization } from '../../src/model/authorization.ts';
import { parseIp } from '../../src/model/ip.ts';
import type { Address, MeshUpdate } from '../../src/model/messages.ts';
import { NO_LOCALITY, type Workload } from '../../src/model/workload.ts';
import { SnapshotStore } from '../../src/store/snapshot-store.ts';
import { XdsClient, type XdsClientOptions } from '../../src/xds/client/client.ts';
import { nodeOf } from '../../src/xds/client/node.ts';
import { createCodec } from '../../src/xds/codec.ts';

export const codec = createCodec();

type Line = Readonly<Record<string, unknown>> & { readonly msg?: string };

export interface ClientUnderTest {
  readonly client: XdsClient;
  readonly store: SnapshotStore;
  readonly updates: readonly MeshUpdate[];
  readonly log: readonly Line[];
  /** throws with what was last seen when it does not come true */
  readonly until: (what: string, is: () => boolean, timeoutMs?: number) => Promise<void>;
}

export function serverAt(port: number): { name: string; target: string; plaintext: boolean } {
  return { name: `127.0.0.1:${port}`, target: `127.0.0.1:${port}`, plaintext: true };
}

export function startClient(
  options: Partial<XdsClientOptions> & Pick<XdsClientOptions, 'servers'>,
): ClientUnderTest {
  const store = new SnapshotStore();
  const updates: MeshUpdate[] = [];
  const lines: Line[] = [];
  const logger = pino(
    { level: 'debug', base: null },
    { write: (text: string) => void lines.push(JSON.parse(text) as Line) },
  );
  const client = new XdsClient({
    channel: {
      rootFile: undefined,
      tokenFile: undefined,
      serverName: undefined,
      clusterId: 'Kubernetes',
    },
    codec,
    node: nodeOf({
      environment: { POD_NAME: 'agent', POD_NAMESPACE: 'podwire', ISTIO_META_X: 'y' },
      clusterId: 'Kubernetes',
      hostname: 'node-1',
      version: '0',
    }),
    protocol: 'auto',
    linked: 'off',
    log: logger,
    publish: (update) => {
      updates.push(update);
      store.apply(update);
    },
    snapshot: () => store.current,
    ...options,
  });
  client.start();
  return {
    client,
    store,
    updates,
    log: lines,
    until: async (what, is, timeoutMs = 10_000) => {
      const deadline = performance.now() + timeoutMs;
      while (!is()) {
        if (performance.now() > deadline) {
          const status = JSON.stringify(client.status());
          const log = lines.slice(-20).map((one) => one.msg);
          throw new Error(`${what}: not within ${timeoutMs} ms; ${status}; ${log.join(' | ')}`);
        }
        await sleep(5);
      }
    },
  };
}

export function workload(name: string, ip: string, more: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/default/${name}`,
    name,
    namespace: 'default',
    addresses: [parseIp(ip)!],
    hostname: '',
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: '',
    serviceAccount: name,
    locality: NO_LOCALITY,
    scope: '',
    inboundClass: '',
    node: '',
    canonicalName: name,
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    healthy: true,
    clusterId: 'Kubernetes',
    hostNetwork: false,
    capacity: 1,
    ...more,
  };
}

export function pod(name: string, ip: string, more: Partial<Workload> = {}): Address {
  return { kind: 'workload', workload: workload(name, ip, more) };
}

export function policy(name: string): Authorization {
  return {
    name,
    namespace: 'default',
    scope: 'NAMESPACE',
    action: 'DENY',
    dryRun: false,
    rules: [],
  };
}

export function uid(name: string): string {
  return `Kubernetes//Pod/default/${name}`;
}
