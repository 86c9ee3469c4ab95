/**
 * podwire's own extensions of istio.workload.Workload ↔ Workload.scope and Workload.inboundClass; see proto/README.md.
 */
import type { Codec, WireWorkload, WireWorkloadInput } from '../codec.ts';
import type { Workload } from '../../model/workload.ts';

type Own = Pick<Workload, 'scope' | 'inboundClass'>;
type Extension = NonNullable<WireWorkloadInput['extensions']>[number];

const SCOPE = 'podwire.io/scope';
const INBOUND_CLASS = 'podwire.io/inbound-class';

export function workloadExtensionsToWire(
  { scope, inboundClass }: Own,
  { clientScope, inboundClass: ofClass }: Codec,
): Extension[] {
  const extensions: Extension[] = [];
  const add = (name: string, type_url: string, value: Buffer): void => {
    extensions.push({ name, config: { type_url, value } });
  };
  if (scope !== '') add(SCOPE, clientScope.typeUrl, clientScope.encode({ scope }));
  if (inboundClass !== '') {
    add(INBOUND_CLASS, ofClass.typeUrl, ofClass.encode({ name: inboundClass }));
  }
  return extensions;
}

export function workloadExtensionsFromWire(
  extensions: WireWorkload['extensions'],
  { clientScope, inboundClass }: Codec,
): Own {
  const bytesOf = (wanted: string, typeUrl: string): Uint8Array | undefined => {
    const config = extensions.find(({ name }) => name === wanted)?.config;
    return config?.type_url === typeUrl ? config.value : undefined;
  };
  const scope = bytesOf(SCOPE, clientScope.typeUrl);
  const ofClass = bytesOf(INBOUND_CLASS, inboundClass.typeUrl);
  return {
    scope: scope === undefined ? '' : clientScope.decode(scope).scope,
    inboundClass: ofClass === undefined ? '' : inboundClass.decode(ofClass).name,
  };
}
