/**
 * `podwire agent`: options in, a running agent, and its orderly end.
 *
 * The first SIGTERM or SIGINT (or POST /v1/shutdown) drains and stops; a second one gives up the waiting.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import {
  parseAgentOptions,
  type AgentOptions,
  type RawAgentOptions,
} from '../config/agent-options.ts';
import {
  DEFAULT_ADMIN_SOCKET,
  DEFAULT_BPFFS,
  DEFAULT_CLUSTER_ID,
  DEFAULT_METRICS,
  DEFAULT_STATE_DIR,
} from '../config/defaults.ts';
import { createLog, LOG_LEVELS } from '../log.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import { serveUntilStopped } from './serve-until-stopped.ts';

const CLOSE_DEADLINE_MS = 20_000;

export function agentCommand(): Command {
  return new Command('agent')
    .description('Capture the pods of this node; runs until SIGTERM.')
    .option('--config <dir>', 'folder of Kubernetes YAML; changes apply at once')
    .option('--mesh-config <file>', "Istio's MeshConfig: a file of it, or the ConfigMap istio")
    .option(
      '--xds <servers>',
      'take the mesh from these servers: HOST:PORT[,HOST:PORT…], best first',
    )
    .option('--xds-root <file>', "PEM file with the servers' roots (default: the system's)")
    .option('--xds-token <file>', 'bearer token, read again for every stream')
    .option('--join-token <file>', 'joins with this token, unless this machine has joined before')
    .option('--xds-server-name <name>', "name in the servers' certificates, if not the host")
    .option('--xds-protocol <variant>', 'auto, delta or sotw', 'auto')
    .option('--xds-l7 <mode>', 'ask for listeners, routes and clusters: auto, on or off', 'auto')
    .option('--xds-on-demand', 'ask for workloads and services when pods dial them, not for all')
    .option('--xds-plaintext', 'allow http:// to other machines')
    .option('--ca-address <servers>', "CA of the pods' certificates (default: the xDS servers)")
    .option('--ca-tls-root <file>', 'as --xds-root, for the CA')
    .option('--ca-token <file>', 'as --xds-token, for the CA')
    .option('--ca-server-name <name>', 'as --xds-server-name, for the CA')
    .option('--ca-cert <file>', 'sign in this process with this CA: certificate')
    .option('--ca-key <file>', 'its key')
    .option('--ca-root <file>', 'roots to trust')
    .option('--ca-chain <file>', 'from --ca-cert to the root, when it is no root')
    .option('--spire <socket>', "SPIRE agent's admin socket, for the pods' certificates")
    .option('--certificate-life <seconds>', "of the pods' certificates", '86400')
    .option('--crl-file <file>', 'revoked certificates: PEM, read again when it changes')
    .option('--cgroup <path>', 'capture the processes below it (default: the cgroup v2 root)')
    .option('--bpffs <path>', 'BPF file system for the pins', DEFAULT_BPFFS)
    .option('--state-dir <dir>', 'what is kept across restarts', DEFAULT_STATE_DIR)
    .option('--admin <socket>', 'unix socket of the admin API', DEFAULT_ADMIN_SOCKET)
    .option(
      '--metrics <address>',
      'IP:PORT of /metrics and /healthz/ready, or off',
      DEFAULT_METRICS,
    )
    .option('--splice <mode>', 'join same-node connections in the kernel: on or off', 'on')
    .option(
      '--transport <kind>',
      'how the proxy reads and writes: batched (the addon), net (node)',
      'batched',
    )
    .option('--workers <count>', 'threads of the proxy', '1')
    .option(
      '--hbone <what>',
      'mTLS: off, other-nodes (pods of this node are trusted by provenance), everywhere',
      'other-nodes',
    )
    .option('--trust-domain <name>', 'of SPIFFE identities', DEFAULT_TRUST_DOMAIN)
    .option('--cluster-id <id>', 'name of the cluster in metrics and uids', DEFAULT_CLUSTER_ID)
    .option('--node <name>', "spec.nodeName of this node's pods (default: what they say)")
    .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')
    .option('--log-pretty', 'log for people instead of JSON')
    .action((raw: RawAgentOptions) =>
      run(parseAgentOptions(raw, { mounts: () => readFileSync('/proc/mounts', 'utf8') })),
    );
}

async function run(options: AgentOptions): Promise<void> {
  await serveUntilStopped(createLog(options.log), async (deps) => {
    const { startAgent } = await import('../agent/app.ts');
    const agent = await startAgent(options, deps);
    return () => agent.close(CLOSE_DEADLINE_MS);
  });
}
