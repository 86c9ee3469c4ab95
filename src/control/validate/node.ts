/**
 * Node → NodeResource: where the node is.
 */
import type { NodeResource } from '../../model/resource.ts';
import type { Fields } from './fields.ts';
import { readMetadata } from './metadata.ts';

const REGION_LABEL = 'topology.kubernetes.io/region';
const ZONE_LABEL = 'topology.kubernetes.io/zone';
const SUBZONE_LABEL = 'topology.istio.io/subzone';

export function readNode(root: Fields, file: string): NodeResource | undefined {
  const metadata = readMetadata(root, 'Node', file);
  if (metadata === undefined) return undefined;
  const { meta } = metadata;
  const label = (name: string): string => meta.labels.get(name) ?? '';
  return {
    ...meta,
    kind: 'Node',
    locality: {
      region: label(REGION_LABEL),
      zone: label(ZONE_LABEL),
      subzone: label(SUBZONE_LABEL),
    },
  };
}
