/**
 * Bytes ↔ the model, for the two messages of the mesh.
 *
 * The only importer of gen/ and of proto-loader, so that another protobuf library can take their place.  Decoding
 * validates: a resource that cannot be understood whole is refused with the path of every field that is wrong (the
 * caller NACKs it by name and applies the others), because a policy without its unreadable parts is another policy.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { Authorization } from '../model/authorization.ts';
import type { Address } from '../model/messages.ts';
import { authorizationFromWire, authorizationToWire } from './resources/authorization.ts';
import { FieldErrors } from './resources/field-errors.ts';
import { serviceFromWire, serviceToWire } from './resources/service.ts';
import { workloadFromWire, workloadToWire } from './resources/workload.ts';
import type { Address as AddressInput, Address__Output } from './gen/istio/workload/Address.ts';
import type {
  Authorization as AuthorizationInput,
  Authorization__Output,
} from './gen/istio/security/Authorization.ts';

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  /** "field.path: what is wrong", one per field */
  | { readonly ok: false; readonly errors: readonly string[] };

export interface Codec {
  encodeAddress(address: Address): Uint8Array;
  decodeAddress(bytes: Uint8Array): Decoded<Address>;
  encodeAuthorization(policy: Authorization): Uint8Array;
  decodeAuthorization(bytes: Uint8Array): Decoded<Authorization>;
}
