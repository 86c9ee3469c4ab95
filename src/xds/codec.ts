/**
 * Bytes ↔ plain objects of the messages, and the types of those objects.
 *
 * The only importer of gen/ and of proto-loader, so that another protobuf library can take their place.  What the objects
 * mean is the business of resources/.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { PodwireError } from '../errors.ts';
import type { Authorization, Authorization__Output } from './gen/istio/security/Authorization.ts';
import type { Address, Address__Output } from './gen/istio/workload/Address.ts';
import type { LoadBalancer, LoadBalancer__Output } from './gen/podwire/v1/LoadBalancer.ts';

export type { Authorization as WireAuthorizationInput } from './gen/istio/security/Authorization.ts';
export type { Authorization__Output as WireAuthorization } from './gen/istio/security/Authorization.ts';
export type { Address as WirePrefixInput } from './gen/istio/security/Address.ts';
export type { Address__Output as WirePrefix } from './gen/istio/security/Address.ts';
export type { Match as WireMatchInput } from './gen/istio/security/Match.ts';
export type { Match__Output as WireMatch } from './gen/istio/security/Match.ts';
export type { StringMatch as WireStringMatchInput } from './gen/istio/security/StringMatch.ts';
export type { DeltaDiscoveryRequest as DeltaRequestInput } from './gen/envoy/service/discovery/v3/DeltaDiscoveryRequest.ts';
export type { DeltaDiscoveryRequest__Output as DeltaRequest } from './gen/envoy/service/discovery/v3/DeltaDiscoveryRequest.ts';
export type { DeltaDiscoveryResponse as DeltaResponseInput } from './gen/envoy/service/discovery/v3/DeltaDiscoveryResponse.ts';
export type { DeltaDiscoveryResponse__Output as DeltaResponse } from './gen/envoy/service/discovery/v3/DeltaDiscoveryResponse.ts';
export type { DiscoveryRequest as SotwRequestInput } from './gen/envoy/service/discovery/v3/DiscoveryRequest.ts';
export type { DiscoveryRequest__Output as SotwRequest } from './gen/envoy/service/discovery/v3/DiscoveryRequest.ts';
export type { DiscoveryResponse as SotwResponseInput } from './gen/envoy/service/discovery/v3/DiscoveryResponse.ts';
export type { DiscoveryResponse__Output as SotwResponse } from './gen/envoy/service/discovery/v3/DiscoveryResponse.ts';
export type { StringMatch__Output as WireStringMatch } from './gen/istio/security/StringMatch.ts';
export type { Port__Output as WirePort } from './gen/istio/workload/Port.ts';
export type { Service as WireServiceInput } from './gen/istio/workload/Service.ts';
export type { Service__Output as WireService } from './gen/istio/workload/Service.ts';
export type { Workload as WireWorkloadInput } from './gen/istio/workload/Workload.ts';
export type { Workload__Output as WireWorkload } from './gen/istio/workload/Workload.ts';

/** Decoding throws on bytes that are no protobuf. */
export interface MessageCodec<Input, Output> {
  encode(message: Input): Buffer;
  decode(bytes: Uint8Array): Output;
}

export interface Codec {
  readonly address: MessageCodec<Address, Address__Output>;
  readonly authorization: MessageCodec<Authorization, Authorization__Output>;
  readonly loadBalancer: MessageCodec<LoadBalancer, LoadBalancer__Output>;
  /** envoy.service.discovery.v3.AggregatedDiscoveryService, for grpc-js */
  readonly discovery: ServiceDefinition;
  /** istio.v1.auth.IstioCertificateService, for grpc-js */
  readonly certificates: ServiceDefinition;
}

const PROTOS = [
  'workload.proto',
  'authorization.proto',
  'podwire/lb.proto',
  'envoy/service/discovery/v3/discovery.proto',
  'istio/v1/auth/ca.proto',
];
const PROTO_FOLDER = join('src', 'xds', 'proto');

/** Reads and parses the protos: some 20 ms, once. */
export function createCodec(): Codec {
  const definition = loadSync(PROTOS, {
    includeDirs: [protoFolder()],
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  return {
    address: message(definition, 'istio.workload.Address'),
    authorization: message(definition, 'istio.security.Authorization'),
    loadBalancer: message(definition, 'podwire.v1.LoadBalancer'),
    discovery: service(definition, 'envoy.service.discovery.v3.AggregatedDiscoveryService'),
    certificates: service(definition, 'istio.v1.auth.IstioCertificateService'),
  };
}

function message<Input extends object, Output extends object>(
  definition: PackageDefinition,
  name: string,
): MessageCodec<Input, Output> {
  const { serialize, deserialize } = definition[name] as unknown as MessageTypeDefinition<
    Input,
    Output
  >;
  return {
    encode: serialize,
    decode: (bytes) => deserialize(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}

function service(definition: PackageDefinition, name: string): ServiceDefinition {
  return definition[name] as ServiceDefinition;
}

/** The protos are read from the package's src/, also by the compiled program in dist/. */
function protoFolder(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ;) {
    const folder = join(dir, PROTO_FOLDER);
    if (existsSync(folder)) return folder;
    const parent = dirname(dir);
    if (parent === dir) {
      const hint = 'install the package whole: it needs src/xds/proto';
      throw new PodwireError('ERR_INTERNAL', `${PROTO_FOLDER} is missing`, { hint });
    }
    dir = parent;
  }
}
