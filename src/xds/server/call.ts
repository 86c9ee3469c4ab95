/**
 * Calls of grpc-js whose responses are bytes already.
 */
import type { ServerDuplexStream, ServiceDefinition, status } from '@grpc/grpc-js';

export type Call = ServerDuplexStream<unknown, Buffer>;

export function rawResponses(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [
      name,
      { ...method, responseSerialize: (bytes: Buffer) => bytes },
    ]),
  );
}

/** Ends the call. */
export function fail(call: Call, code: status, details: string): void {
  call.emit('error', { code, details });
}
