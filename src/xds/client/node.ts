/**
 * Who asks: the Node of the first request, in ztunnel's form, which istiod and podwire control both understand.
 *
 *   id  ztunnel~<ip>~<pod>.<namespace>~<namespace>.svc.cluster.local
 *   metadata  NAME, NAMESPACE, INSTANCE_IPS, NODE_NAME, CLUSTER_ID, every ISTIO_META_X as X, ISTIO_METAJSON_X parsed
 *
 * It says which node the answers are for and proves nothing: servers authorise by the token.
 */
import type { Node } from './protocol.ts';

export interface NodeOptions {
  /** POD_NAME, POD_NAMESPACE, INSTANCE_IP, NODE_NAME, SERVICE_ACCOUNT, ISTIO_META_*, ISTIO_METAJSON_* */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clusterId: string;
  readonly hostname: string;
  readonly version: string;
}

type Value = NonNullable<NonNullable<NonNullable<Node['metadata']>['fields']>[string]>;

const META = 'ISTIO_META_';
const META_JSON = 'ISTIO_METAJSON_';
/** istiod wants a valid address and does nothing with it; ztunnel's own stand-in */
const NO_ADDRESS = '1.1.1.1';
const DEFAULT_NAMESPACE = 'podwire-system';

/** Throws on an ISTIO_METAJSON_* that is no JSON. */
export function nodeOf({ environment, clusterId, hostname, version }: NodeOptions): Node {
  const name = environment['POD_NAME'] || hostname;
  const namespace = environment['POD_NAMESPACE'] || DEFAULT_NAMESPACE;
  const ip = environment['INSTANCE_IP'] || NO_ADDRESS;
  const fields: Record<string, Value> = {};
  for (const [key, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    if (key.startsWith(META_JSON)) fields[key.slice(META_JSON.length)] = fromJson(key, value);
    else if (key.startsWith(META)) fields[key.slice(META.length)] = { stringValue: value };
  }
  const own: Record<string, string | undefined> = {
    NAME: name,
    NAMESPACE: namespace,
    INSTANCE_IPS: ip,
    NODE_NAME: environment['NODE_NAME'] || hostname,
    CLUSTER_ID: clusterId,
    SERVICE_ACCOUNT: environment['SERVICE_ACCOUNT'],
    PODWIRE_VERSION: version,
  };
  for (const [key, value] of Object.entries(own)) {
    if (value) fields[key] = { stringValue: value };
  }
  return {
    id: `ztunnel~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: clusterId,
    metadata: { fields },
    user_agent_name: 'podwire',
    user_agent_version: version,
  };
}

function fromJson(key: string, text: string): Value {
  try {
    return toValue(JSON.parse(text));
  } catch (cause) {
    throw new Error(`the environment variable ${key} is no JSON`, { cause });
  }
}

function toValue(json: unknown): Value {
  if (json === null) return { nullValue: 'NULL_VALUE' };
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  const entries = Object.entries(json as Record<string, unknown>);
  return { structValue: { fields: Object.fromEntries(entries.map(([k, v]) => [k, toValue(v)])) } };
}
