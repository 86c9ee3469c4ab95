/**
 * Sessions and their types as status shows them.
 */
import type { XdsServer } from './channel.ts';
import type { Session } from './session.ts';
import type { XdsServerStatus, XdsTypeStatus } from './status.ts';
import type { TypeState } from './type-state.ts';
import { CONTROL, controlPlaneName } from './control-plane-name.ts';

export function serverStatus(
  server: XdsServer,
  session: Session | undefined,
  active: boolean,
): XdsServerStatus {
  const figures = session?.figures;
  return {
    address: server.name,
    active: active && session !== undefined,
    state: figures?.state ?? 'idle',
    protocol: session?.protocol ?? '',
    connectedSince: figures?.since ?? '',
    reconnects: figures?.reconnects ?? 0,
    error: figures?.error ?? '',
    bytes: figures?.bytes ?? 0,
    controlPlane: figures?.isControl ? CONTROL : controlPlaneName(figures?.controlPlane ?? ''),
    unknownTypes: Object.fromEntries(figures?.unknownTypes ?? []),
  };
}

export function typeStatus(type: TypeState): XdsTypeStatus {
  return {
    type: type.key,
    typeUrl: type.type.typeUrl,
    version: type.version,
    nonce: type.nonce,
    resources: type.known.size,
    pushes: type.pushes,
    rejects: type.rejects,
    lastPush: type.lastPush,
    refused: [...type.refused].map(([name, reason]) => ({ name, reason })),
  };
}
