/**
 * How every resource of Envoy's is read: the scan for fields nobody knows, then the decoder with a place for its findings.
 */
import type { EnvoyCodecs, WireAny, WireAnyInput } from '../codec-envoy.ts';
import type { MessageCodec } from '../codec.ts';
import { decodeWith, type Decoded, type FieldError, type FieldWarning } from './decoded.ts';
import { protects } from './protection.ts';

export interface Reading {
  readonly codec: EnvoyCodecs;
  /** refuses the resource */
  readonly error: FieldError;
  /** names what is left out */
  readonly warn: FieldWarning;
}

export function decodeResource<Input, Output, T>(
  codec: EnvoyCodecs,
  message: MessageCodec<Input, Output>,
  bytes: Uint8Array,
  read: (wire: Output, reading: Reading) => T,
): Decoded<T> {
  return decodeWith((error, warn) => {
    reportUnknown(message, bytes, error, warn);
    return read(message.decode(bytes), { codec, error, warn });
  });
}

export function reportUnknown<Input, Output>(
  message: MessageCodec<Input, Output>,
  bytes: Uint8Array,
  error: FieldError,
  warn: FieldWarning,
): void {
  for (const field of message.unknownFields(bytes)) {
    if (protects(field)) error(field.path, 'is not supported');
    else warn(field.path);
  }
}

export function pack<Input, Output>(
  message: MessageCodec<Input, Output>,
  value: Input,
): WireAnyInput {
  return { type_url: message.typeUrl, value: message.encode(value) };
}

type Packed = WireAny | null | undefined;

export function holds<Input, Output>(any: Packed, message: MessageCodec<Input, Output>): boolean {
  return nameOf(any?.type_url ?? '') === nameOf(message.typeUrl);
}

/** undefined: the Any holds something else */
export function unpack<Input, Output>(
  any: Packed,
  message: MessageCodec<Input, Output>,
): Output | undefined {
  return any && holds(any, message) ? message.decode(any.value) : undefined;
}

function nameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}
