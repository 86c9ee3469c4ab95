/**
 * Bytes ↔ plain objects of the messages, and the types of those objects.
 *
 * With codec-envoy.ts and wire-types.ts the only importer of gen/, and the only one of protobufjs with the scan for unknown
 * fields, so that another protobuf library can take their place.  What the objects mean is the business of resources/.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import { PodwireError } from '../errors.ts';
import { ENVOY_MESSAGES, type EnvoyCodecs } from './codec-envoy.ts';
import type { IstioConfigCodecs } from './codec-istio-config.ts';
import type { Authorization, Authorization__Output } from './gen/istio/security/Authorization.ts';
import type { Address, Address__Output } from './gen/istio/workload/Address.ts';
import type { ClientScope, ClientScope__Output } from './gen/podwire/v1/ClientScope.ts';
import type { InboundClass, InboundClass__Output } from './gen/podwire/v1/InboundClass.ts';
import type { LoadBalancer, LoadBalancer__Output } from './gen/podwire/v1/LoadBalancer.ts';
import { createScan, type ScanUnknownFields, type UnknownField } from './unknown-fields.ts';

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
  /** of an Any that holds one */
  readonly typeUrl: string;
  encode(message: Input): Buffer;
  decode(bytes: Uint8Array): Output;
  /** The fields in `bytes` that our protos leave out, at every depth. */
  unknownFields(bytes: Uint8Array): UnknownField[];
}

export interface Codec {
  readonly address: MessageCodec<Address, Address__Output>;
  readonly authorization: MessageCodec<Authorization, Authorization__Output>;
  readonly clientScope: MessageCodec<ClientScope, ClientScope__Output>;
  readonly inboundClass: MessageCodec<InboundClass, InboundClass__Output>;
  readonly loadBalancer: MessageCodec<LoadBalancer, LoadBalancer__Output>;
  readonly envoy: EnvoyCodecs;
  readonly istioConfig: IstioConfigCodecs;
  /** envoy.service.discovery.v3.AggregatedDiscoveryService, for grpc-js */
  readonly discovery: ServiceDefinition;
  /** istio.v1.auth.IstioCertificateService, for grpc-js */
  readonly certificates: ServiceDefinition;
  /** spire.api.agent.delegatedidentity.v1.DelegatedIdentity, for grpc-js */
  readonly delegatedIdentity: ServiceDefinition;
}

const PROTO_FOLDER = join('src', 'xds', 'proto');
const CONVERSION: protobuf.IConversionOptions = {
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
};

/** Reads and parses the protos: some 60 ms, once. */
export function createCodec(): Codec {
  const root = loadProtos();
  const scan = createScan(root);
  const envoy = Object.fromEntries(
    Object.entries(ENVOY_MESSAGES).map(([key, name]) => [key, message(root, scan, name)]),
  );
  return {
    address: addressCodec(root, scan),
    authorization: message(root, scan, 'istio.security.Authorization'),
    clientScope: message(root, scan, 'podwire.v1.ClientScope'),
    inboundClass: message(root, scan, 'podwire.v1.InboundClass'),
    loadBalancer: message(root, scan, 'podwire.v1.LoadBalancer'),
    envoy: envoy as unknown as EnvoyCodecs,
    istioConfig: {
      resource: message(root, scan, 'istio.mcp.v1alpha1.Resource'),
      virtualService: message(root, scan, 'istio.networking.v1alpha3.VirtualService'),
      destinationRule: message(root, scan, 'istio.networking.v1alpha3.DestinationRule'),
      authorizationPolicy: message(root, scan, 'istio.security.v1beta1.AuthorizationPolicy'),
    },
    discovery: service(root, 'envoy.service.discovery.v3.AggregatedDiscoveryService'),
    certificates: service(root, 'istio.v1.auth.IstioCertificateService'),
    delegatedIdentity: service(root, 'spire.api.agent.delegatedidentity.v1.DelegatedIdentity'),
  };
}

function loadProtos(): protobuf.Root {
  const folder = protoFolder();
  const root = new protobuf.Root();
  // google/protobuf/*.proto come with protobufjs
  root.resolvePath = (_origin, path) =>
    path.startsWith('google/') ? path : join(folder, path.replace(folder, ''));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  root.loadSync(files.filter((file) => file.endsWith('.proto')).sort(), { keepCase: true });
  root.resolveAll();
  return root;
}

function message<Input extends object, Output extends object>(
  root: protobuf.Root,
  scan: ScanUnknownFields,
  name: string,
): MessageCodec<Input, Output> {
  const type = root.lookupType(name);
  return {
    typeUrl: `type.googleapis.com/${name}`,
    encode: (object) => encode(type, object),
    decode: (bytes) => type.toObject(type.decode(asBuffer(bytes)), CONVERSION) as Output,
    unknownFields: (bytes) => scan(type, asBuffer(bytes)),
  };
}

/**
 * Workloads come by the hundred thousand: toObject is a third of what decoding one costs, so they stay protobufjs's own
 * objects (absent fields are on the prototype), with names for the numbers of enums.
 */
function addressCodec(
  root: protobuf.Root,
  scan: ScanUnknownFields,
): MessageCodec<Address, Address__Output> {
  const type = root.lookupType('istio.workload.Address');
  const enums = root
    .lookupType('istio.workload.Workload')
    .fieldsArray.flatMap(({ name, resolvedType }) =>
      resolvedType instanceof protobuf.Enum ? [{ name, names: resolvedType.valuesById }] : [],
    );
  return {
    ...message<Address, Address__Output>(root, scan, 'istio.workload.Address'),
    decode: (bytes) => {
      const decoded = type.decode(asBuffer(bytes)) as unknown as Record<string, unknown>;
      const workload = decoded['workload'] as Record<string, unknown> | null;
      if (workload === null) {
        return type.toObject(decoded as unknown as protobuf.Message, CONVERSION) as Address__Output;
      }
      for (const { name, names } of enums) {
        const value = workload[name] as number;
        workload[name] = names[value] ?? value;
      }
      return { type: 'workload', workload } as unknown as Address__Output;
    },
  };
}

/** A grpc-js service whose messages are encoded as all others. */
function service(root: protobuf.Root, name: string): ServiceDefinition {
  const found = root.lookupService(name);
  return Object.fromEntries(
    found.methodsArray.map((method) => {
      const request = method.resolvedRequestType!;
      const response = method.resolvedResponseType!;
      const decode = (type: protobuf.Type) => (bytes: Buffer) =>
        type.toObject(type.decode(bytes), CONVERSION);
      return [
        method.name,
        {
          path: `/${name}/${method.name}`,
          originalName: method.name.charAt(0).toLowerCase() + method.name.slice(1),
          requestStream: method.requestStream === true,
          responseStream: method.responseStream === true,
          requestSerialize: (object: object) => encode(request, object),
          requestDeserialize: decode(request),
          responseSerialize: (object: object) => encode(response, object),
          responseDeserialize: decode(response),
        },
      ];
    }),
  );
}

function encode(type: protobuf.Type, object: object): Buffer {
  return type.encode(type.fromObject(object)).finish() as Buffer;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
