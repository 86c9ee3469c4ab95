/**
 * Kubeconfig contexts → clients.
 */
import { PodwireError } from '../../errors.ts';
import { KubernetesClient } from './client.ts';

export interface KubeconfigOptions {
  /** path; absent: $KUBECONFIG, ~/.kube/config, or the account of the pod, in this order */
  readonly kubeconfig?: string;
  /** absent: the current one */
  readonly context?: string;
}

/** Throws PodwireError ERR_CONFIG. */
export async function loadClient({
  kubeconfig,
  context,
}: KubeconfigOptions): Promise<KubernetesClient> {
  // Half a second and 60 MiB, which an agent without Kubernetes does not pay.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new PodwireError(
      'ERR_CONFIG',
      `the kubeconfig cannot be read: ${(error as Error).message}`,
      {
        cause: error,
        hint: 'name a readable file with --kubeconfig or KUBECONFIG',
      },
    );
  }
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name);
    if (!names.includes(context)) {
      throw new PodwireError(
        'ERR_CONFIG',
        `the kubeconfig has no context ${JSON.stringify(context)}`,
        {
          hint: `use one of: ${names.join(', ')}`,
        },
      );
    }
    config.setCurrentContext(context);
  }
  // What client-node falls back to when there is nothing at all: an API server on this machine without TLS.
  if (kubeconfig === undefined && config.getCurrentContext() === 'loaded-context') {
    throw new PodwireError('ERR_CONFIG', 'there is no kubeconfig, and this is no pod', {
      hint: 'name a file with --kubeconfig or KUBECONFIG',
    });
  }
  if (config.getCurrentCluster() === null) {
    throw new PodwireError('ERR_CONFIG', 'the kubeconfig names no cluster for the context', {
      hint: 'correct contexts[].context.cluster',
    });
  }
  return new KubernetesClient(config);
}
