/**
 * podwire.v1.ClientScope, an extension of istio.workload.Workload ↔ Workload.scope.
 */
import type { Codec, WireWorkload, WireWorkloadInput } from '../codec.ts';

/** see proto/README.md */
const EXTENSION = 'podwire.io/scope';
const TYPE_URL = 'type.googleapis.com/podwire.v1.ClientScope';

export function clientScopeToWire(
  scope: string,
  codec: Codec['clientScope'],
): NonNullable<WireWorkloadInput['extensions']> {
  if (scope === '') return [];
  return [{ name: EXTENSION, config: { type_url: TYPE_URL, value: codec.encode({ scope }) } }];
}

export function clientScopeFromWire(
  extensions: WireWorkload['extensions'],
  codec: Codec['clientScope'],
): string {
  const config = extensions.find(({ name }) => name === EXTENSION)?.config;
  return config?.type_url === TYPE_URL ? codec.decode(config.value).scope : '';
}
