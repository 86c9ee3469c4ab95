/** Kubernetes resources as the netns tests write them into an agent's config folder. */
import { podResource, type Resource } from './agent.ts';
import type { Pod } from './netns.ts';

export interface PodChange {
  readonly namespace?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ready?: boolean;
}

/** The pod's resource with something else in it than the mesh's spec says. */
export function podWith(pod: Pod, { namespace, annotations, ready }: PodChange): Resource {
  const resource = podResource(pod) as Readonly<Record<string, Resource>>;
  const { metadata, status } = resource;
  return {
    ...resource,
    metadata: {
      ...metadata,
      ...(namespace ? { namespace } : {}),
      annotations: { ...(metadata?.['annotations'] as object), ...annotations },
    },
    status: {
      ...status,
      ...(ready === undefined
        ? {}
        : { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] }),
    },
  };
}

export interface ServiceSpec {
  readonly name: string;
  /** undefined: headless */
  readonly addresses?: readonly string[];
  readonly port: number;
  readonly targetPort: number | string;
  readonly selector: Readonly<Record<string, string>>;
  readonly lb?: 'round-robin' | 'random' | 'least-conn' | 'least-latency';
  readonly maxConnections?: number;
  /** further fields of spec */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export function service(spec: ServiceSpec): Resource {
  const { name, addresses, port, targetPort, selector, lb, maxConnections, extra } = spec;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: 'default',
      annotations: {
        ...(lb ? { 'podwire.io/lb': lb } : {}),
        ...(maxConnections ? { 'podwire.io/max-connections': String(maxConnections) } : {}),
      },
    },
    spec: {
      clusterIPs: addresses ?? ['None'],
      selector,
      ports: [{ name: 'main', port, targetPort }],
      ...extra,
    },
  };
}

export interface PolicySpec {
  readonly name: string;
  readonly namespace?: string;
  readonly action?: 'ALLOW' | 'DENY';
  /** label app of the pods; undefined: the whole namespace */
  readonly app?: string;
  readonly rules?: readonly unknown[];
  /** further fields of spec */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export function policy({ name, namespace, action, app, rules, extra }: PolicySpec): Resource {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: namespace ?? 'default' },
    spec: {
      ...(app ? { selector: { matchLabels: { app } } } : {}),
      ...(action ? { action } : {}),
      ...(rules ? { rules } : {}),
      ...extra,
    },
  };
}

/** from: source: principals, for service accounts of the namespace `default` */
export function fromAccounts(...accounts: readonly string[]): Resource {
  const principals = accounts.map((account) => `cluster.local/ns/default/sa/${account}`);
  return { from: [{ source: { principals } }] };
}

/** to: operation: ports */
export function toPorts(...ports: readonly number[]): Resource {
  return { to: [{ operation: { ports: ports.map(String) } }] };
}
