/**
 * The ports that the kubelet of the pod's node calls: probes (of init containers that keep running, too) and life-cycle
 * handlers. Named ports are looked up among the ports of the same container, as the kubelet does.
 */
import { isPort, type Fields } from './fields.ts';

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
const HOOKS = ['postStart', 'preStop'] as const;
const ACTIONS = ['httpGet', 'tcpSocket', 'grpc'] as const;

/** One for all pods without. */
const NONE: readonly number[] = [];

/** Sorted, each once. */
export function readProbePorts(containers: readonly Fields[]): readonly number[] {
  const ports = containers.flatMap(portsOf);
  return ports.length === 0 ? NONE : [...new Set(ports)].sort((a, b) => a - b);
}

function portsOf(container: Fields): number[] {
  const lifecycle = container.mapping('lifecycle');
  return [
    ...PROBES.map((name) => container.mapping(name)),
    ...HOOKS.map((name) => lifecycle.mapping(name)),
  ].flatMap((handler) =>
    ACTIONS.flatMap((action) => portOf(handler.mapping(action), container) ?? []),
  );
}

/** undefined: none, or of another host than the pod */
function portOf(action: Fields, container: Fields): number | undefined {
  const host = action.string('host');
  if (!action.has('port') || (host !== undefined && host !== '')) return undefined;
  const port = action.portOrName('port', 0);
  if (typeof port !== 'string') return port;
  const named = container
    .mappings('ports')
    .find((candidate) => candidate.string('name') === port)
    ?.port('containerPort');
  return isPort(named) ? named : undefined;
}
