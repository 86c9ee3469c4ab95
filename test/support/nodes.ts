/**
 * Several nodes as network namespaces: each is a mesh of its own (pods, bridge, cgroup, folder) whose bridge's namespace
 * stands for the node, and a switch between them routes from every node's pods to every other's. Each node's agent runs
 * in the node's namespace with its own cgroup subtree and bpffs.
 */
import { command, uniqueName } from './node.ts';
import { createMesh, type Mesh, type PodSpec, type Scope } from './netns.ts';

export interface NodeSpec {
  /** spec.nodeName of its pods */
  readonly name: string;
  readonly pods: readonly PodSpec[];
}

export interface NodeMesh extends Mesh {
  readonly nodeName: string;
  /** of the node itself, on the wire between nodes */
  readonly nodeAddress: string;
}

export function createNodes(scope: Scope, specs: readonly NodeSpec[]): readonly NodeMesh[] {
  const nodes = specs.map(({ name, pods }, index): NodeMesh => {
    const mesh = createMesh(scope, { pods });
    return Object.assign(mesh, { nodeName: name, nodeAddress: `172.31.0.${index + 1}` });
  });
  const wire = `pwt-${uniqueName()}-wire`;
  scope.after(() => {
    command('ip', ['netns', 'del', wire]);
  });
  command('ip', ['netns', 'add', wire]);
  command('ip', ['-n', wire, '-batch', '-'], 'link add br0 type bridge\nlink set br0 up\n');
  nodes.forEach((node, index) => connect(wire, nodes, node, index));
  return nodes;
}

function connect(wire: string, nodes: readonly NodeMesh[], node: NodeMesh, index: number): void {
  const netns = node.node.netnsPath.split('/').at(-1)!;
  const inWire = [
    `link add node${index} type veth peer name wire0 netns ${netns}`,
    `link set node${index} master br0 up`,
  ];
  command('ip', ['-n', wire, '-batch', '-'], inWire.join('\n'));
  const inNode = [
    `address add ${node.nodeAddress}/24 dev wire0`,
    `address add fd31::${index + 1}/64 dev wire0 nodad`,
    'link set wire0 up',
    ...nodes.flatMap((other, i) =>
      other === node
        ? []
        : [
            `route add ${other.subnets.v4} via ${other.nodeAddress}`,
            `route add ${other.subnets.v6} via fd31::${i + 1}`,
          ],
    ),
  ];
  command('ip', ['-n', netns, '-batch', '-'], inNode.join('\n'));
  for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']) {
    command('nsenter', [`--net=${node.node.netnsPath}`, '--', 'sysctl', '-qw', setting]);
  }
}
