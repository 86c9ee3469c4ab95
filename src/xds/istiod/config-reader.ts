/**
 * What istiod is configured with, asked for once: the resources it has read, of which its streams to node agents say only
 * a part.
 *
 * istiod serves its own configuration to whoever may have a stream and asks for it in the node's metadata (GENERATOR: api;
 * resources are istio.mcp.v1alpha1.Resource, in the state of the world).  It sends all of a kind anew at every change, so
 * the stream is ended when each kind has been answered.
 */
import { status } from '@grpc/grpc-js';
import { openStream, type ChannelOptions, type XdsServer } from '../client/channel.ts';
import { controlPlaneName, isIstiod } from '../client/control-plane-name.ts';
import { STATE_OF_THE_WORLD, type Node } from '../client/protocol.ts';
import type { Codec } from '../codec.ts';

export interface IstioConfigReaderOptions {
  readonly channel: ChannelOptions;
  readonly node: Node;
  readonly codec: Codec;
  readonly timeoutMs?: number;
}

export interface IstioObject {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** its spec, as the message of its kind */
  readonly spec: Uint8Array;
}

export interface IstioConfig {
  /** "istiod 1.25.0" */
  readonly controlPlane: string;
  readonly objects: readonly IstioObject[];
}

/** Not istiod, or one that does not serve its configuration. */
export class NoIstioConfigError extends Error {
  override readonly name = 'NoIstioConfigError';
}

/** group/version/Kind; an istiod that does not know one of them says there are none */
const KINDS: readonly string[] = [
  'networking.istio.io/v1/VirtualService',
  'networking.istio.io/v1alpha3/VirtualService',
  'networking.istio.io/v1/DestinationRule',
  'networking.istio.io/v1alpha3/DestinationRule',
  'networking.istio.io/v1/Sidecar',
  'networking.istio.io/v1alpha3/Sidecar',
  'networking.istio.io/v1alpha3/EnvoyFilter',
  'extensions.istio.io/v1alpha1/WasmPlugin',
  'security.istio.io/v1/AuthorizationPolicy',
  'security.istio.io/v1beta1/AuthorizationPolicy',
  'security.istio.io/v1/RequestAuthentication',
  'security.istio.io/v1beta1/RequestAuthentication',
  'telemetry.istio.io/v1/Telemetry',
  'telemetry.istio.io/v1alpha1/Telemetry',
];
/** The one type in whose responses every istiod says its name; asked of its configuration, there are none of it. */
const IDENTIFIER = 'istio.io/debug/syncz';
const TIMEOUT_MS = 3_000;

/** Throws NoIstioConfigError. */
export function readIstioConfig(
  server: XdsServer,
  { channel, node, codec, timeoutMs = TIMEOUT_MS }: IstioConfigReaderOptions,
): Promise<IstioConfig> {
  const waiting = new Set([IDENTIFIER, ...KINDS]);
  const objects = new Map<string, IstioObject>();
  let controlPlane = '';
  return new Promise((resolve, reject) => {
    const fail = (message: string): void => {
      clearTimeout(timer);
      stream.close();
      reject(new NoIstioConfigError(message));
    };
    const take = (message: unknown): void => {
      const push = STATE_OF_THE_WORLD.read(message);
      controlPlane ||= controlPlaneName(push.controlPlane);
      const kind = push.typeUrl.split('/').at(-1)!;
      for (const { bytes } of push.resources) {
        const object = bytes && objectOf(kind, bytes, codec);
        if (object) objects.set(`${kind} ${object.namespace}/${object.name}`, object);
      }
      waiting.delete(push.typeUrl);
      if (waiting.size > 0) return;
      if (!isIstiod(controlPlane)) return fail('it is not istiod');
      clearTimeout(timer);
      stream.close();
      resolve({ controlPlane, objects: [...objects.values()] });
    };
    const timer = setTimeout(
      () => fail(`no answer for ${[...waiting][0]} within ${timeoutMs} ms`),
      timeoutMs,
    );
    const stream = openStream(server, STATE_OF_THE_WORLD, channel, {
      up: () => {},
      headers: () => {},
      bytes: () => {},
      message: (message) => {
        try {
          take(message);
        } catch (error) {
          fail((error as Error).message);
        }
      },
      ended: ({ code, details }) => fail(`${status[code]}: ${details}`),
    });
    for (const type_url of waiting) stream.send({ node: configNode(node), type_url });
  });
}

function configNode(node: Node): Node {
  const generator = { stringValue: 'api' };
  return { ...node, metadata: { fields: { ...node.metadata?.fields, GENERATOR: generator } } };
}

/** undefined: a resource without a name. */
function objectOf(kind: string, bytes: Uint8Array, codec: Codec): IstioObject | undefined {
  const { metadata, body } = codec.istioConfig.resource.decode(bytes);
  const [namespace, name] = metadata?.name.split('/') ?? [];
  if (metadata === null || namespace === undefined || name === undefined) return undefined;
  const spec = (body as { readonly value?: Uint8Array } | null)?.value ?? new Uint8Array();
  return { kind, namespace, name, annotations: metadata.annotations, spec };
}
