/**
 * `podwire control`: options in, a running control plane, and its orderly end.
 *
 * The first SIGTERM or SIGINT (or POST /v1/shutdown) sends the agents to other replicas and stops; a second one gives up
 * the waiting.
 */
import { Command } from 'commander';
import {
  parseControlOptions,
  type ControlProcessOptions,
  type RawControlOptions,
} from '../config/control-options.ts';
import {
  DEFAULT_AGENT_ACCOUNT,
  DEFAULT_CLUSTER_ID,
  DEFAULT_CONTROL_ADMIN_SOCKET,
  DEFAULT_CONTROL_LISTEN,
  DEFAULT_CONTROL_METRICS,
  DEFAULT_CONTROL_STATE_DIR,
  DEFAULT_ROOT_CONFIGMAP,
  DEFAULT_WEBHOOK_CONFIGURATION,
} from '../config/defaults.ts';
import { createLog, LOG_LEVELS } from '../log.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import { serveUntilStopped } from './serve-until-stopped.ts';

export function controlCommand(): Command {
  const several = (value: string, before: string[] = []): string[] => [...before, value];
  return new Command('control')
    .description('Serve configuration and certificates to agents; runs until SIGTERM.')
    .option('--config <dir>', 'folder of Kubernetes YAML; changes apply at once')
    .option('--mesh-config <file>', "Istio's MeshConfig: a file of it, or the ConfigMap istio")
    .option('--kubernetes [contexts]', 'clusters: CONTEXT[=ID],…, the first is the primary one')
    .option('--kubeconfig <file>', 'instead of $KUBECONFIG, ~/.kube/config or the pod’s account')
    .option('--network <names>', 'network of the clusters: NAME, or ID=NAME,…')
    .option(
      '--dns <record>',
      'SRV record = Service, e.g. _http._tcp.a.example=shop/web:80',
      several,
    )
    .option('--listen <address>', 'IP:PORT of xDS and CA, or unix:PATH', DEFAULT_CONTROL_LISTEN)
    .option('--plaintext', 'without TLS: on loopback or a unix socket')
    .option('--host <name>', 'name or address agents reach it at; may be repeated', several)
    .option(
      '--agent <namespace/account>',
      `account of agents; may be repeated (default: ${DEFAULT_AGENT_ACCOUNT})`,
      several,
    )
    .option('--namespace <name>', 'its own, in Kubernetes', 'podwire-system')
    .option('--tls-cert <file>', 'PEM chain to serve with, instead of one of its own CA')
    .option('--tls-key <file>', 'its key')
    .option('--ca-cert <file>', 'certificate that signs, instead of a root of its own')
    .option('--ca-key <file>', 'its key')
    .option('--ca-chain <file>', 'from it to the root, when it is signed by another')
    .option('--ca-root <file>', 'roots to trust')
    .option(
      '--state-dir <dir>',
      `join tokens and root of the CA (default: ${DEFAULT_CONTROL_STATE_DIR}; with --kubernetes a Secret)`,
    )
    .option('--webhook <address>', 'IP:PORT of the admission webhook (HTTPS), or off', 'off')
    .option(
      '--root-configmap <name>',
      'with the roots, in every namespace; or off',
      DEFAULT_ROOT_CONFIGMAP,
    )
    .option(
      '--webhook-configuration <name>',
      'ValidatingWebhookConfiguration whose caBundle is kept, if it exists; or off',
      DEFAULT_WEBHOOK_CONFIGURATION,
    )
    .option('--admin <socket>', 'unix socket of the admin API', DEFAULT_CONTROL_ADMIN_SOCKET)
    .option(
      '--metrics <address>',
      'IP:PORT of /metrics and readiness, or off',
      DEFAULT_CONTROL_METRICS,
    )
    .option('--drain <seconds>', 'over which agents are sent to other replicas at the end', '5')
    .option('--trust-domain <name>', 'of SPIFFE identities', DEFAULT_TRUST_DOMAIN)
    .option('--cluster-id <id>', 'name of the cluster in uids', DEFAULT_CLUSTER_ID)
    .option('--domain <name>', 'DNS domain of Services (default: cluster.local)')
    .option('--root-namespace <name>', 'whose policies are for all (default: istio-system)')
    .option('--log-level <level>', LOG_LEVELS.join(', '), 'info')
    .option('--log-pretty', 'log for people instead of JSON')
    .action((raw: RawControlOptions) => run(parseControlOptions(raw)));
}

async function run(options: ControlProcessOptions): Promise<void> {
  await serveUntilStopped(createLog(options.log), async (deps) => {
    const { startControlProcess } = await import('../control/process.ts');
    const control = await startControlProcess(options, deps);
    return () => control.close();
  });
}
