/**
 * The mesh from xDS servers: the client, the last good configuration in the state folder, and the way into the mesh.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { OnDemandStatus } from '../admin/view.ts';
import type { AgentOptions } from '../config/agent-options.ts';
import type { XdsOptions } from '../config/xds-options.ts';
import type { Settings } from '../kernel/settings.ts';
import type { NodeCredential } from '../identity/node-credential.ts';
import type { Log } from '../log.ts';
import type { Codec } from '../xds/codec.ts';
import type { NodeCredentialStatus } from '../identity/node-credential-status.ts';
import type { ClientCredential } from '../xds/client/client-tls.ts';
import type { XdsClient as Client } from '../xds/client/client.ts';
import type { XdsStatus } from '../xds/client/status.ts';
import type { LeftOut } from '../xds/istiod/left-out-view.ts';
import type { Mesh } from './mesh.ts';
import { OnDemand } from './on-demand.ts';

export interface ControlPlaneOptions {
  readonly options: AgentOptions;
  readonly version: string;
  readonly stateDir: string;
  readonly log: Log;
  readonly mesh: Mesh;
  readonly settings: Pick<Settings, 'tellOfAddresses'>;
  /** the first complete mesh is in force; called once */
  readonly onComplete: () => void;
}

export interface ControlPlane {
  status(): XdsStatus;
  /** What the server in force does not say, or not as it is written; null: nothing. Never rejects. */
  leftOut(): Promise<LeftOut | null>;
  /** undefined: the agent proves itself with a token, or not at all */
  node(): NodeCredentialStatus | undefined;
  /** undefined: as above */
  readonly credential: ClientCredential | undefined;
  /** undefined: all addresses are asked for */
  onDemand(): OnDemandStatus | undefined;
  /** A pod, by its number, dials an address of nobody known. */
  met(pod: number, ip: string): void;
  close(): Promise<void>;
}

/** all resources of one kind */
const MAX_CONFIG_BYTES = 64 * 1024 * 1024;
const CACHE_FILE = 'xds-cache.bin';

/** undefined without --xds.  Does not wait for a server: until one answers the kernel goes on with what it has. */
export async function startControlPlane(
  setup: ControlPlaneOptions,
): Promise<ControlPlane | undefined> {
  const { options, version, stateDir, log, mesh } = setup;
  const { xds, clusterId } = options;
  if (xds === undefined) return undefined;
  // an agent without --xds does not load gRPC
  const { createCodec } = await import('../xds/codec.ts');
  const { LastGood } = await import('../xds/cache/last-good.ts');
  const { XdsClient } = await import('../xds/client/client.ts');
  const { nodeOf } = await import('../xds/client/node.ts');
  const { LeftOutView } = await import('../xds/istiod/left-out-view.ts');
  const codec = createCodec();
  const credential = await openCredential(setup, xds, codec, () => client.reconnect());
  const channel = { ...xds, clusterId, credential };
  const node = nodeOf({ environment: process.env, clusterId, hostname: hostname(), version });
  let complete = false;
  const client: Client = new XdsClient({
    servers: xds.servers,
    channel,
    codec,
    node,
    protocol: xds.protocol,
    linked: xds.l7,
    onDemand: xds.onDemand,
    log: log.child({ component: 'xds' }),
    lastGood: new LastGood({ path: join(stateDir, CACHE_FILE), codec, log }),
    snapshot: () => mesh.snapshot,
    publish: (update) => {
      try {
        mesh.update({ mesh: update });
      } catch (err) {
        log.error({ err }, 'an update of the xDS server could not be applied');
      }
      if (complete || mesh.incomplete !== undefined) return;
      complete = true;
      setup.onComplete();
    },
  });
  const leftOut = new LeftOutView({
    servers: xds.servers,
    linked: xds.l7,
    channel: {
      ...channel,
      // what becomes of this stream says nothing about the node's membership
      credential: credential && {
        current: () => credential.current(),
        roots: () => credential.roots(),
        answered: () => {},
      },
      discovery: codec.discovery,
      maxMessageBytes: MAX_CONFIG_BYTES,
    },
    node,
    codec,
  });
  const onDemand = xds.onDemand ? new OnDemand({ client, mesh }) : undefined;
  setup.settings.tellOfAddresses(xds.onDemand);
  if (onDemand !== undefined) mesh.onPods((uids) => onDemand.setPods(uids));
  client.start();
  void credential?.start();
  return {
    status: () => client.status(),
    leftOut: () => leftOut.of(client.status(), mesh.snapshot.services),
    node: () => credential?.status(),
    credential,
    onDemand: () => onDemand?.status(),
    met: (pod, ip) => onDemand?.met(pod, ip),
    close: async () => {
      onDemand?.close();
      await credential?.close();
      await client.close();
    },
  };
}

/** undefined: a bearer token, or nothing, is what the servers ask for. */
async function openCredential(
  { options, stateDir, log }: ControlPlaneOptions,
  xds: XdsOptions,
  codec: Codec,
  onChange: () => void,
): Promise<NodeCredential | undefined> {
  if (xds.tokenFile !== undefined || xds.servers.every(({ plaintext }) => plaintext)) {
    return undefined;
  }
  const { NodeCredential } = await import('../identity/node-credential.ts');
  const { CertificateClient } = await import('../xds/client/certificate-client.ts');
  const { clusterId } = options;
  const client = new CertificateClient({ ...xds, definition: codec.certificates, clusterId });
  return NodeCredential.open({
    folder: stateDir,
    tokenFile: xds.joinTokenFile,
    ask: (question) => client.ask(question),
    onChange,
    log: log.child({ component: 'node' }),
  });
}
