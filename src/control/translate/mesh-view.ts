/**
 * What the mesh as a whole says of one namespace's pods.
 */
import type { PodResource } from '../../model/resource.ts';
import type { GatewayAddress } from '../../model/gateway-address.ts';
import type { Locality } from '../../model/workload.ts';

export interface MeshView {
  /** names of the mesh-wide policies that select a pod, and of what its PeerAuthentications became */
  readonly policiesOf: (pod: PodResource) => Iterable<string>;
  /** where a node is, by its name; undefined: nothing is known of it */
  readonly localityOf: (node: string) => Locality | undefined;
  /** of the pod with that uid: see Workload.scope */
  readonly scopeOf: (uid: string) => string;
  /** see Workload.inboundClass */
  readonly inboundClassOf: (uid: string) => string;
  /** what the pod's own address is reached through; undefined: nothing */
  readonly waypointOf: (pod: PodResource) => GatewayAddress | undefined;
}
