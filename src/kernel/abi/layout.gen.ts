// Generated from the BTF of bpf/abi.bpf.c by src/kernel/abi/generate.ts (npm run gen:abi). Do not edit.
/**
 * The layout of bpf/abi.h in TypeScript: constants, and per struct an interface,
 * a codec of the same name, a reader and a writer.
 *
 * For little-endian hosts only, as every host of podwire is (x86-64, arm64). Fields named pad, pad2… are not in the
 * interfaces; writers set them to 0. Byte arrays are copied, so that a value outlives the buffer it was read from.
 */

/** Of everything in this file that the kernel's side also knows. */
export const ABI_HASH = 'd388ce18ffd20573';

export interface StructCodec<T> {
  readonly size: number;
  read(view: DataView, offset: number): T;
  write(view: DataView, offset: number, value: T): void;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array, offset?: number): T;
}

function need(view: DataView, offset: number, size: number, name: string): void {
  if (offset < 0 || offset + size > view.byteLength) {
    throw new RangeError(
      `struct ${name} needs ${size} bytes at offset ${offset}, the buffer has ${view.byteLength}`,
    );
  }
}

function getBytes(view: DataView, offset: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, length).slice();
}

function setBytes(
  view: DataView,
  offset: number,
  length: number,
  value: Uint8Array,
  name: string,
): void {
  if (value.length !== length) {
    throw new RangeError(`${name} takes ${length} bytes, not ${value.length}`);
  }
  new Uint8Array(view.buffer, view.byteOffset + offset, length).set(value);
}

function count(values: { readonly length: number }, length: number, name: string): void {
  if (values.length !== length) {
    throw new RangeError(`${name} takes ${length} numbers, not ${values.length}`);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** enum abi_limits */
export const AbiLimits = {
  ABI_VERSION: 3,
  MAX_PODS: 1024,
  MAX_LISTENERS: 8192,
  MAX_RECORDS: 262144,
  MAX_CONNS: 262144,
  MAX_SERVICES: 65536,
  MAX_BACKENDS: 262144,
  MAX_LB_SLOTS: 1048576,
  MAX_AFFINITY: 32768,
  MAX_CIDR_RULES: 262144,
  MAX_TUNNELS: 524288,
  MAX_PROBES: 16384,
  MAX_PAIRS: 131072,
  MAX_TRUST: 8192,
  MAX_LISTENING: 16384,
  MAX_FLOODS: 8192,
  MAX_MET: 16384,
  MET_AGAIN_S: 30,
  MET_PER_SECOND: 64,
  EVENT_RING_BYTES: 4194304,
  FLOOD_BYTES: 8388608,
  FLOOD_MEMORY_S: 600,
  TURN_SLOTS: 65536,
  FULL_SCAN_BACKENDS: 8,
  LATENCY_HALF_LIFE_MS: 7000,
  LATENCY_PENALTY_MS: 1000,
} as const;
export type AbiLimits = (typeof AbiLimits)[keyof typeof AbiLimits];

/** enum reason */
export const Reason = {
  NONE: 0,
  POLICY: 1,
  IDENTITY_UNKNOWN: 2,
  NO_ENDPOINT: 3,
  AGENT_PORT: 4,
  NO_RECORD: 5,
  NO_AGENT: 6,
  REVOKED: 7,
  STALLED_READER: 8,
  CONNECTION_LIMIT: 9,
  RECORD_QUOTA: 10,
  MAP_FULL: 11,
  PEER_NOT_LOCAL: 12,
  OLDER_THAN_AGENT: 13,
  EARLY_DATA: 14,
  WAITER: 15,
  SOCKET_OPTION: 16,
  LEARNING_CLIENT: 17,
  LEARNING_SERVER: 18,
  DENIED_CLIENT: 19,
  DENIED_SERVER: 20,
  ANNOTATION: 21,
  SELF_CONNECT: 22,
  INSERT_FAILED: 23,
  SPLICE_OFF: 24,
  NETNS_MISMATCH: 25,
  UNKNOWN_READER: 26,
  FLOOD: 27,
  NETWORK_POLICY: 28,
  MAX: 29,
} as const;
export type Reason = (typeof Reason)[keyof typeof Reason];
export const reasonNames: readonly string[] = [
  'none', 'policy', 'identity-unknown', 'no-endpoint', 'agent-port', 'no-record', 'no-agent',
  'revoked', 'stalled-reader', 'connection-limit', 'record-quota', 'map-full', 'peer-not-local',
  'older-than-agent', 'early-data', 'waiter', 'socket-option', 'learning-client', 'learning-server',
  'denied-client', 'denied-server', 'annotation', 'self-connect', 'insert-failed', 'splice-off',
  'netns-mismatch', 'unknown-reader', 'flood', 'network-policy',
];

/** enum counter */
export const Counter = {
  CONNECTS: 0,
  RECORDS: 1,
  RECORD_FAILED: 2,
  SPLICED: 3,
  REDIRECT_MESSAGES: 4,
  REDIRECT_BYTES: 5,
  TCP_MESSAGES: 6,
  TCP_BYTES: 7,
  LEG_INFLIGHT: 8,
  LEG_FULL: 9,
  LEG_OWNED: 10,
  LEG_FLOOD: 11,
  LEG_BUDGET: 12,
  LEG_MEMORY: 13,
  REDIRECT_FAILED: 14,
  OVERLAPS: 15,
  EVENTS_LOST: 16,
  LB_PICKS: 17,
  CAPTURED_OUT: 18,
  CAPTURED_IN: 19,
  TUNNELLED_OUT: 20,
  TUNNELLED_IN: 21,
  ASKED: 22,
  PROBES: 23,
  MAX: 24,
} as const;
export type Counter = (typeof Counter)[keyof typeof Counter];
export const counterNames: readonly string[] = [
  'connects', 'records', 'record-failed', 'spliced', 'redirect-messages', 'redirect-bytes',
  'tcp-messages', 'tcp-bytes', 'leg-inflight', 'leg-full', 'leg-owned', 'leg-flood', 'leg-budget',
  'leg-memory', 'redirect-failed', 'overlaps', 'events-lost', 'lb-picks', 'captured-out',
  'captured-in', 'tunnelled-out', 'tunnelled-in', 'asked', 'probes',
];

/** enum pod_flags */
export const PodFlags = {
  CAPTURE_PROXY: 1,
  FALLBACK_DIRECT: 2,
  SPLICE_ALWAYS: 4,
  SPLICE_NEVER: 8,
  SPLICE_OBSERVE: 16,
  PORT_MODES: 32,
  TUNNEL: 64,
  TUNNEL_ONLY: 128,
} as const;
export type PodFlags = (typeof PodFlags)[keyof typeof PodFlags];
export const podFlagsNames: { readonly [value: number]: string } = {
  1: 'capture-proxy',
  2: 'fallback-direct',
  4: 'splice-always',
  8: 'splice-never',
  16: 'splice-observe',
  32: 'port-modes',
  64: 'tunnel',
  128: 'tunnel-only',
};

/** enum splice_mode */
export const SpliceMode = {
  DEFAULT: 0,
  ALWAYS: 1,
  NEVER: 2,
  OBSERVE: 3,
} as const;
export type SpliceMode = (typeof SpliceMode)[keyof typeof SpliceMode];
export const spliceModeNames: readonly string[] = [
  'default', 'always', 'never', 'observe',
];

/** enum record_flags */
export const RecordFlags = {
  POD: 1,
  NODE: 2,
  AGENT: 4,
  CAPTURED: 8,
  PROXIED: 16,
  TUNNELLED: 32,
} as const;
export type RecordFlags = (typeof RecordFlags)[keyof typeof RecordFlags];
export const recordFlagsNames: { readonly [value: number]: string } = {
  1: 'pod',
  2: 'node',
  4: 'agent',
  8: 'captured',
  16: 'proxied',
  32: 'tunnelled',
};

/** enum pair_state */
export const PairState = {
  NONE: 0,
  CLIENT_IN: 1,
  PAIRED: 2,
  PLAIN: 3,
} as const;
export type PairState = (typeof PairState)[keyof typeof PairState];
export const pairStateNames: readonly string[] = [
  'none', 'client-in', 'paired', 'plain',
];

/** enum conn_flags */
export const ConnFlags = {
  CLIENT: 1,
  IN_SOCKHASH: 2,
  PLAIN: 4,
  FLOOD: 8,
  REVOKED: 16,
  AGENT: 32,
  PAIRED: 64,
  LOWAT: 128,
  NODE: 256,
  SECOND_LEG: 512,
  TUNNELLED: 1024,
} as const;
export type ConnFlags = (typeof ConnFlags)[keyof typeof ConnFlags];
export const connFlagsNames: { readonly [value: number]: string } = {
  1: 'client',
  2: 'in-sockhash',
  4: 'plain',
  8: 'flood',
  16: 'revoked',
  32: 'agent',
  64: 'paired',
  128: 'lowat',
  256: 'node',
  512: 'second-leg',
  1024: 'tunnelled',
};

/** enum flow_path */
export const FlowPath = {
  PLAIN: 0,
  SPLICED: 1,
  PROXIED: 2,
  HBONE: 3,
} as const;
export type FlowPath = (typeof FlowPath)[keyof typeof FlowPath];
export const flowPathNames: readonly string[] = [
  'plain', 'spliced', 'proxied', 'hbone',
];

/** enum verdict */
export const Verdict = {
  NONE: 0,
  ALLOW: 1,
  DENY: 2,
  CIDR: 3,
  ASK: 4,
} as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];
export const verdictNames: readonly string[] = [
  'none', 'allow', 'deny', 'cidr', 'ask',
];

/** enum policy_identity */
export const PolicyIdentity = {
  NONE: 0,
  ANY: 4294967295,
} as const;
export type PolicyIdentity = (typeof PolicyIdentity)[keyof typeof PolicyIdentity];
export const policyIdentityNames: { readonly [value: number]: string } = {
  0: 'none',
  4294967295: 'any',
};

/** enum isolation */
export const Isolation = {
  INGRESS: 1,
  EGRESS: 2,
} as const;
export type Isolation = (typeof Isolation)[keyof typeof Isolation];
export const isolationNames: { readonly [value: number]: string } = {
  1: 'ingress',
  2: 'egress',
};

/** enum lb_policy */
export const LbPolicy = {
  ROUND_ROBIN: 0,
  RANDOM: 1,
  LEAST_CONN: 2,
  LEAST_LATENCY: 3,
} as const;
export type LbPolicy = (typeof LbPolicy)[keyof typeof LbPolicy];
export const lbPolicyNames: readonly string[] = [
  'round-robin', 'random', 'least-conn', 'least-latency',
];

/** enum trust_state */
export const TrustState = {
  OBSERVING: 0,
  TRUSTED: 1,
  DENIED: 2,
} as const;
export type TrustState = (typeof TrustState)[keyof typeof TrustState];
export const trustStateNames: readonly string[] = [
  'observing', 'trusted', 'denied',
];

/** enum trust_flags */
export const TrustFlags = {
  INTERPRETER: 1,
  READ: 2,
} as const;
export type TrustFlags = (typeof TrustFlags)[keyof typeof TrustFlags];
export const trustFlagsNames: { readonly [value: number]: string } = {
  1: 'interpreter',
  2: 'read',
};

/** enum trust_reason */
export const TrustReason = {
  DENY_LIST: 64,
  IMPORTS_SPLICE: 65,
  STALLED_READER: 66,
} as const;
export type TrustReason = (typeof TrustReason)[keyof typeof TrustReason];
export const trustReasonNames: { readonly [value: number]: string } = {
  64: 'deny-list',
  65: 'imports-splice',
  66: 'stalled-reader',
};

/** enum behaviour */
export const Behaviour = {
  SPLICE_OUT: 0,
  TEE_VMSPLICE: 1,
  WAITALL: 2,
  TRUNC: 3,
  OOB: 4,
  IO_URING: 5,
  SOCKET_OPTION: 6,
  BLOCKING_DUPLEX: 7,
  MAX: 8,
} as const;
export type Behaviour = (typeof Behaviour)[keyof typeof Behaviour];
export const behaviourNames: readonly string[] = [
  'splice-out', 'tee-vmsplice', 'waitall', 'trunc', 'oob', 'io-uring', 'socket-option',
  'blocking-duplex',
];

/** enum listener_role */
export const ListenerRole = {
  OUTBOUND: 0,
  INBOUND: 1,
  HBONE: 2,
  ROLES: 3,
} as const;
export type ListenerRole = (typeof ListenerRole)[keyof typeof ListenerRole];
export const listenerRoleNames: readonly string[] = [
  'outbound', 'inbound', 'hbone',
];

/** enum agent_port */
export const AgentPort = {
  OUTBOUND: 15001,
  INBOUND: 15006,
  HBONE: 15008,
} as const;
export type AgentPort = (typeof AgentPort)[keyof typeof AgentPort];
export const agentPortNames: { readonly [value: number]: string } = {
  15001: 'outbound',
  15006: 'inbound',
  15008: 'hbone',
};

/** enum event_type */
export const EventType = {
  CLOSE: 1,
  DENIED: 2,
  TRUST: 3,
  MET: 4,
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];
export const eventTypeNames: { readonly [value: number]: string } = {
  1: 'close',
  2: 'denied',
  3: 'trust',
  4: 'met',
};

/** enum intent_flags */
export const IntentFlags = {
  CAPTURED: 1,
  COUNTED: 2,
  LIMITED: 4,
  MEASURED: 8,
  TUNNELLED: 16,
} as const;
export type IntentFlags = (typeof IntentFlags)[keyof typeof IntentFlags];
export const intentFlagsNames: { readonly [value: number]: string } = {
  1: 'captured',
  2: 'counted',
  4: 'limited',
  8: 'measured',
  16: 'tunnelled',
};

/** enum agent_sock_flags */
export const AgentSockFlags = {
  LISTENER: 1,
  UPSTREAM: 2,
  ON_BEHALF: 4,
  TUNNELLED: 8,
} as const;
export type AgentSockFlags = (typeof AgentSockFlags)[keyof typeof AgentSockFlags];
export const agentSockFlagsNames: { readonly [value: number]: string } = {
  1: 'listener',
  2: 'upstream',
  4: 'on-behalf',
  8: 'tunnelled',
};

/** enum tunnel_flags */
export const TunnelFlags = {
  WORKLOAD: 1,
  WAYPOINT: 2,
} as const;
export type TunnelFlags = (typeof TunnelFlags)[keyof typeof TunnelFlags];
export const tunnelFlagsNames: { readonly [value: number]: string } = {
  1: 'workload',
  2: 'waypoint',
};

/** struct flow_key */
export interface FlowKey {
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
  readonly localPort: number;
  readonly remotePort: number;
  readonly netns: bigint;
}

export const FLOW_KEY_SIZE = 48;

export function readFlowKey(view: DataView, offset: number): FlowKey {
  need(view, offset, FLOW_KEY_SIZE, 'flow_key');
  return {
    local: getBytes(view, offset, 16),
    remote: getBytes(view, offset + 16, 16),
    localPort: view.getUint16(offset + 32, true),
    remotePort: view.getUint16(offset + 34, true),
    netns: view.getBigUint64(offset + 40, true),
  };
}

export function writeFlowKey(view: DataView, offset: number, value: FlowKey): void {
  need(view, offset, FLOW_KEY_SIZE, 'flow_key');
  setBytes(view, offset, 16, value.local, 'flow_key.local');
  setBytes(view, offset + 16, 16, value.remote, 'flow_key.remote');
  view.setUint16(offset + 32, value.localPort, true);
  view.setUint16(offset + 34, value.remotePort, true);
  view.setUint32(offset + 36, 0, true);
  view.setBigUint64(offset + 40, value.netns, true);
}

export function encodeFlowKey(value: FlowKey): Uint8Array {
  const bytes = new Uint8Array(FLOW_KEY_SIZE);
  writeFlowKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeFlowKey(bytes: Uint8Array, offset = 0): FlowKey {
  return readFlowKey(viewOf(bytes), offset);
}

export const FlowKey: StructCodec<FlowKey> = {
  size: FLOW_KEY_SIZE,
  read: readFlowKey,
  write: writeFlowKey,
  encode: encodeFlowKey,
  decode: decodeFlowKey,
};

/** struct ip_key */
export interface IpKey {
  readonly addr: Uint8Array;
}

export const IP_KEY_SIZE = 16;

export function readIpKey(view: DataView, offset: number): IpKey {
  need(view, offset, IP_KEY_SIZE, 'ip_key');
  return {
    addr: getBytes(view, offset, 16),
  };
}

export function writeIpKey(view: DataView, offset: number, value: IpKey): void {
  need(view, offset, IP_KEY_SIZE, 'ip_key');
  setBytes(view, offset, 16, value.addr, 'ip_key.addr');
}

export function encodeIpKey(value: IpKey): Uint8Array {
  const bytes = new Uint8Array(IP_KEY_SIZE);
  writeIpKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeIpKey(bytes: Uint8Array, offset = 0): IpKey {
  return readIpKey(viewOf(bytes), offset);
}

export const IpKey: StructCodec<IpKey> = {
  size: IP_KEY_SIZE,
  read: readIpKey,
  write: writeIpKey,
  encode: encodeIpKey,
  decode: decodeIpKey,
};

/** struct pod */
export interface Pod {
  readonly id: number;
  readonly identity: number;
  readonly flags: number;
  readonly workload: number;
  readonly workers: number;
  readonly recordQuota: number;
  readonly netns: bigint;
  readonly addr4: Uint8Array;
  readonly addr6: Uint8Array;
}

export const POD_SIZE = 64;

export function readPod(view: DataView, offset: number): Pod {
  need(view, offset, POD_SIZE, 'pod');
  return {
    id: view.getUint32(offset, true),
    identity: view.getUint32(offset + 4, true),
    flags: view.getUint32(offset + 8, true),
    workload: view.getUint32(offset + 12, true),
    workers: view.getUint32(offset + 16, true),
    recordQuota: view.getUint32(offset + 20, true),
    netns: view.getBigUint64(offset + 24, true),
    addr4: getBytes(view, offset + 32, 16),
    addr6: getBytes(view, offset + 48, 16),
  };
}

export function writePod(view: DataView, offset: number, value: Pod): void {
  need(view, offset, POD_SIZE, 'pod');
  view.setUint32(offset, value.id, true);
  view.setUint32(offset + 4, value.identity, true);
  view.setUint32(offset + 8, value.flags, true);
  view.setUint32(offset + 12, value.workload, true);
  view.setUint32(offset + 16, value.workers, true);
  view.setUint32(offset + 20, value.recordQuota, true);
  view.setBigUint64(offset + 24, value.netns, true);
  setBytes(view, offset + 32, 16, value.addr4, 'pod.addr4');
  setBytes(view, offset + 48, 16, value.addr6, 'pod.addr6');
}

export function encodePod(value: Pod): Uint8Array {
  const bytes = new Uint8Array(POD_SIZE);
  writePod(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePod(bytes: Uint8Array, offset = 0): Pod {
  return readPod(viewOf(bytes), offset);
}

export const Pod: StructCodec<Pod> = {
  size: POD_SIZE,
  read: readPod,
  write: writePod,
  encode: encodePod,
  decode: decodePod,
};

/** struct local */
export interface Local {
  readonly netns: bigint;
  readonly pod: number;
  readonly identity: number;
}

export const LOCAL_SIZE = 16;

export function readLocal(view: DataView, offset: number): Local {
  need(view, offset, LOCAL_SIZE, 'local');
  return {
    netns: view.getBigUint64(offset, true),
    pod: view.getUint32(offset + 8, true),
    identity: view.getUint32(offset + 12, true),
  };
}

export function writeLocal(view: DataView, offset: number, value: Local): void {
  need(view, offset, LOCAL_SIZE, 'local');
  view.setBigUint64(offset, value.netns, true);
  view.setUint32(offset + 8, value.pod, true);
  view.setUint32(offset + 12, value.identity, true);
}

export function encodeLocal(value: Local): Uint8Array {
  const bytes = new Uint8Array(LOCAL_SIZE);
  writeLocal(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeLocal(bytes: Uint8Array, offset = 0): Local {
  return readLocal(viewOf(bytes), offset);
}

export const Local: StructCodec<Local> = {
  size: LOCAL_SIZE,
  read: readLocal,
  write: writeLocal,
  encode: encodeLocal,
  decode: decodeLocal,
};

/** struct pod_usage */
export interface PodUsage {
  readonly records: number;
  readonly leases: number;
}

export const POD_USAGE_SIZE = 8;

export function readPodUsage(view: DataView, offset: number): PodUsage {
  need(view, offset, POD_USAGE_SIZE, 'pod_usage');
  return {
    records: view.getUint32(offset, true),
    leases: view.getUint32(offset + 4, true),
  };
}

export function writePodUsage(view: DataView, offset: number, value: PodUsage): void {
  need(view, offset, POD_USAGE_SIZE, 'pod_usage');
  view.setUint32(offset, value.records, true);
  view.setUint32(offset + 4, value.leases, true);
}

export function encodePodUsage(value: PodUsage): Uint8Array {
  const bytes = new Uint8Array(POD_USAGE_SIZE);
  writePodUsage(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePodUsage(bytes: Uint8Array, offset = 0): PodUsage {
  return readPodUsage(viewOf(bytes), offset);
}

export const PodUsage: StructCodec<PodUsage> = {
  size: POD_USAGE_SIZE,
  read: readPodUsage,
  write: writePodUsage,
  encode: encodePodUsage,
  decode: decodePodUsage,
};

/** struct port_key */
export interface PortKey {
  readonly pod: number;
  readonly port: number;
}

export const PORT_KEY_SIZE = 8;

export function readPortKey(view: DataView, offset: number): PortKey {
  need(view, offset, PORT_KEY_SIZE, 'port_key');
  return {
    pod: view.getUint32(offset, true),
    port: view.getUint32(offset + 4, true),
  };
}

export function writePortKey(view: DataView, offset: number, value: PortKey): void {
  need(view, offset, PORT_KEY_SIZE, 'port_key');
  view.setUint32(offset, value.pod, true);
  view.setUint32(offset + 4, value.port, true);
}

export function encodePortKey(value: PortKey): Uint8Array {
  const bytes = new Uint8Array(PORT_KEY_SIZE);
  writePortKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePortKey(bytes: Uint8Array, offset = 0): PortKey {
  return readPortKey(viewOf(bytes), offset);
}

export const PortKey: StructCodec<PortKey> = {
  size: PORT_KEY_SIZE,
  read: readPortKey,
  write: writePortKey,
  encode: encodePortKey,
  decode: decodePortKey,
};

/** struct listener_key */
export interface ListenerKey {
  readonly pod: number;
  readonly role: number;
  readonly family: number;
  readonly worker: number;
}

export const LISTENER_KEY_SIZE = 8;

export function readListenerKey(view: DataView, offset: number): ListenerKey {
  need(view, offset, LISTENER_KEY_SIZE, 'listener_key');
  return {
    pod: view.getUint32(offset, true),
    role: view.getUint8(offset + 4),
    family: view.getUint8(offset + 5),
    worker: view.getUint16(offset + 6, true),
  };
}

export function writeListenerKey(view: DataView, offset: number, value: ListenerKey): void {
  need(view, offset, LISTENER_KEY_SIZE, 'listener_key');
  view.setUint32(offset, value.pod, true);
  view.setUint8(offset + 4, value.role);
  view.setUint8(offset + 5, value.family);
  view.setUint16(offset + 6, value.worker, true);
}

export function encodeListenerKey(value: ListenerKey): Uint8Array {
  const bytes = new Uint8Array(LISTENER_KEY_SIZE);
  writeListenerKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeListenerKey(bytes: Uint8Array, offset = 0): ListenerKey {
  return readListenerKey(viewOf(bytes), offset);
}

export const ListenerKey: StructCodec<ListenerKey> = {
  size: LISTENER_KEY_SIZE,
  read: readListenerKey,
  write: writeListenerKey,
  encode: encodeListenerKey,
  decode: decodeListenerKey,
};

/** struct service_key */
export interface ServiceKey {
  readonly addr: Uint8Array;
  readonly port: number;
}

export const SERVICE_KEY_SIZE = 20;

export function readServiceKey(view: DataView, offset: number): ServiceKey {
  need(view, offset, SERVICE_KEY_SIZE, 'service_key');
  return {
    addr: getBytes(view, offset, 16),
    port: view.getUint16(offset + 16, true),
  };
}

export function writeServiceKey(view: DataView, offset: number, value: ServiceKey): void {
  need(view, offset, SERVICE_KEY_SIZE, 'service_key');
  setBytes(view, offset, 16, value.addr, 'service_key.addr');
  view.setUint16(offset + 16, value.port, true);
  view.setUint16(offset + 18, 0, true);
}

export function encodeServiceKey(value: ServiceKey): Uint8Array {
  const bytes = new Uint8Array(SERVICE_KEY_SIZE);
  writeServiceKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeServiceKey(bytes: Uint8Array, offset = 0): ServiceKey {
  return readServiceKey(viewOf(bytes), offset);
}

export const ServiceKey: StructCodec<ServiceKey> = {
  size: SERVICE_KEY_SIZE,
  read: readServiceKey,
  write: writeServiceKey,
  encode: encodeServiceKey,
  decode: decodeServiceKey,
};

/** struct service */
export interface Service {
  readonly id: number;
  readonly generation: number;
  readonly slots: number;
  readonly policy: number;
  readonly cursorSlot: number;
  readonly affinityS: number;
  readonly maxConnections: number;
  readonly limit: number;
}

export const SERVICE_SIZE = 32;

export function readService(view: DataView, offset: number): Service {
  need(view, offset, SERVICE_SIZE, 'service');
  return {
    id: view.getUint32(offset, true),
    generation: view.getUint32(offset + 4, true),
    slots: view.getUint32(offset + 8, true),
    policy: view.getUint32(offset + 12, true),
    cursorSlot: view.getUint32(offset + 16, true),
    affinityS: view.getUint32(offset + 20, true),
    maxConnections: view.getUint32(offset + 24, true),
    limit: view.getUint32(offset + 28, true),
  };
}

export function writeService(view: DataView, offset: number, value: Service): void {
  need(view, offset, SERVICE_SIZE, 'service');
  view.setUint32(offset, value.id, true);
  view.setUint32(offset + 4, value.generation, true);
  view.setUint32(offset + 8, value.slots, true);
  view.setUint32(offset + 12, value.policy, true);
  view.setUint32(offset + 16, value.cursorSlot, true);
  view.setUint32(offset + 20, value.affinityS, true);
  view.setUint32(offset + 24, value.maxConnections, true);
  view.setUint32(offset + 28, value.limit, true);
}

export function encodeService(value: Service): Uint8Array {
  const bytes = new Uint8Array(SERVICE_SIZE);
  writeService(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeService(bytes: Uint8Array, offset = 0): Service {
  return readService(viewOf(bytes), offset);
}

export const Service: StructCodec<Service> = {
  size: SERVICE_SIZE,
  read: readService,
  write: writeService,
  encode: encodeService,
  decode: decodeService,
};

/** struct slot_key */
export interface SlotKey {
  readonly service: number;
  readonly generation: number;
  readonly slot: number;
}

export const SLOT_KEY_SIZE = 12;

export function readSlotKey(view: DataView, offset: number): SlotKey {
  need(view, offset, SLOT_KEY_SIZE, 'slot_key');
  return {
    service: view.getUint32(offset, true),
    generation: view.getUint32(offset + 4, true),
    slot: view.getUint32(offset + 8, true),
  };
}

export function writeSlotKey(view: DataView, offset: number, value: SlotKey): void {
  need(view, offset, SLOT_KEY_SIZE, 'slot_key');
  view.setUint32(offset, value.service, true);
  view.setUint32(offset + 4, value.generation, true);
  view.setUint32(offset + 8, value.slot, true);
}

export function encodeSlotKey(value: SlotKey): Uint8Array {
  const bytes = new Uint8Array(SLOT_KEY_SIZE);
  writeSlotKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeSlotKey(bytes: Uint8Array, offset = 0): SlotKey {
  return readSlotKey(viewOf(bytes), offset);
}

export const SlotKey: StructCodec<SlotKey> = {
  size: SLOT_KEY_SIZE,
  read: readSlotKey,
  write: writeSlotKey,
  encode: encodeSlotKey,
  decode: decodeSlotKey,
};

/** struct backend */
export interface Backend {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly id: number;
}

export const BACKEND_SIZE = 24;

export function readBackend(view: DataView, offset: number): Backend {
  need(view, offset, BACKEND_SIZE, 'backend');
  return {
    addr: getBytes(view, offset, 16),
    port: view.getUint16(offset + 16, true),
    id: view.getUint32(offset + 20, true),
  };
}

export function writeBackend(view: DataView, offset: number, value: Backend): void {
  need(view, offset, BACKEND_SIZE, 'backend');
  setBytes(view, offset, 16, value.addr, 'backend.addr');
  view.setUint16(offset + 16, value.port, true);
  view.setUint16(offset + 18, 0, true);
  view.setUint32(offset + 20, value.id, true);
}

export function encodeBackend(value: Backend): Uint8Array {
  const bytes = new Uint8Array(BACKEND_SIZE);
  writeBackend(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeBackend(bytes: Uint8Array, offset = 0): Backend {
  return readBackend(viewOf(bytes), offset);
}

export const Backend: StructCodec<Backend> = {
  size: BACKEND_SIZE,
  read: readBackend,
  write: writeBackend,
  encode: encodeBackend,
  decode: decodeBackend,
};

/** struct member_key */
export interface MemberKey {
  readonly service: number;
  readonly generation: number;
  readonly backend: number;
}

export const MEMBER_KEY_SIZE = 12;

export function readMemberKey(view: DataView, offset: number): MemberKey {
  need(view, offset, MEMBER_KEY_SIZE, 'member_key');
  return {
    service: view.getUint32(offset, true),
    generation: view.getUint32(offset + 4, true),
    backend: view.getUint32(offset + 8, true),
  };
}

export function writeMemberKey(view: DataView, offset: number, value: MemberKey): void {
  need(view, offset, MEMBER_KEY_SIZE, 'member_key');
  view.setUint32(offset, value.service, true);
  view.setUint32(offset + 4, value.generation, true);
  view.setUint32(offset + 8, value.backend, true);
}

export function encodeMemberKey(value: MemberKey): Uint8Array {
  const bytes = new Uint8Array(MEMBER_KEY_SIZE);
  writeMemberKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeMemberKey(bytes: Uint8Array, offset = 0): MemberKey {
  return readMemberKey(viewOf(bytes), offset);
}

export const MemberKey: StructCodec<MemberKey> = {
  size: MEMBER_KEY_SIZE,
  read: readMemberKey,
  write: writeMemberKey,
  encode: encodeMemberKey,
  decode: decodeMemberKey,
};

/** struct backend_load */
export interface BackendLoad {
  readonly active: bigint;
  readonly sampledNs: bigint;
  readonly latencyNs: bigint;
}

export const BACKEND_LOAD_SIZE = 24;

export function readBackendLoad(view: DataView, offset: number): BackendLoad {
  need(view, offset, BACKEND_LOAD_SIZE, 'backend_load');
  return {
    active: view.getBigUint64(offset, true),
    sampledNs: view.getBigUint64(offset + 8, true),
    latencyNs: view.getBigUint64(offset + 16, true),
  };
}

export function writeBackendLoad(view: DataView, offset: number, value: BackendLoad): void {
  need(view, offset, BACKEND_LOAD_SIZE, 'backend_load');
  view.setBigUint64(offset, value.active, true);
  view.setBigUint64(offset + 8, value.sampledNs, true);
  view.setBigUint64(offset + 16, value.latencyNs, true);
}

export function encodeBackendLoad(value: BackendLoad): Uint8Array {
  const bytes = new Uint8Array(BACKEND_LOAD_SIZE);
  writeBackendLoad(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeBackendLoad(bytes: Uint8Array, offset = 0): BackendLoad {
  return readBackendLoad(viewOf(bytes), offset);
}

export const BackendLoad: StructCodec<BackendLoad> = {
  size: BACKEND_LOAD_SIZE,
  read: readBackendLoad,
  write: writeBackendLoad,
  encode: encodeBackendLoad,
  decode: decodeBackendLoad,
};

/** struct affinity_key */
export interface AffinityKey {
  readonly netns: bigint;
  readonly service: number;
}

export const AFFINITY_KEY_SIZE = 16;

export function readAffinityKey(view: DataView, offset: number): AffinityKey {
  need(view, offset, AFFINITY_KEY_SIZE, 'affinity_key');
  return {
    netns: view.getBigUint64(offset, true),
    service: view.getUint32(offset + 8, true),
  };
}

export function writeAffinityKey(view: DataView, offset: number, value: AffinityKey): void {
  need(view, offset, AFFINITY_KEY_SIZE, 'affinity_key');
  view.setBigUint64(offset, value.netns, true);
  view.setUint32(offset + 8, value.service, true);
  view.setUint32(offset + 12, 0, true);
}

export function encodeAffinityKey(value: AffinityKey): Uint8Array {
  const bytes = new Uint8Array(AFFINITY_KEY_SIZE);
  writeAffinityKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeAffinityKey(bytes: Uint8Array, offset = 0): AffinityKey {
  return readAffinityKey(viewOf(bytes), offset);
}

export const AffinityKey: StructCodec<AffinityKey> = {
  size: AFFINITY_KEY_SIZE,
  read: readAffinityKey,
  write: writeAffinityKey,
  encode: encodeAffinityKey,
  decode: decodeAffinityKey,
};

/** struct affinity */
export interface Affinity {
  readonly usedNs: bigint;
  readonly backend: number;
}

export const AFFINITY_SIZE = 16;

export function readAffinity(view: DataView, offset: number): Affinity {
  need(view, offset, AFFINITY_SIZE, 'affinity');
  return {
    usedNs: view.getBigUint64(offset, true),
    backend: view.getUint32(offset + 8, true),
  };
}

export function writeAffinity(view: DataView, offset: number, value: Affinity): void {
  need(view, offset, AFFINITY_SIZE, 'affinity');
  view.setBigUint64(offset, value.usedNs, true);
  view.setUint32(offset + 8, value.backend, true);
  view.setUint32(offset + 12, 0, true);
}

export function encodeAffinity(value: Affinity): Uint8Array {
  const bytes = new Uint8Array(AFFINITY_SIZE);
  writeAffinity(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeAffinity(bytes: Uint8Array, offset = 0): Affinity {
  return readAffinity(viewOf(bytes), offset);
}

export const Affinity: StructCodec<Affinity> = {
  size: AFFINITY_SIZE,
  read: readAffinity,
  write: writeAffinity,
  encode: encodeAffinity,
  decode: decodeAffinity,
};

/** struct policy_key */
export interface PolicyKey {
  readonly identity: number;
  readonly port: number;
}

export const POLICY_KEY_SIZE = 8;

export function readPolicyKey(view: DataView, offset: number): PolicyKey {
  need(view, offset, POLICY_KEY_SIZE, 'policy_key');
  return {
    identity: view.getUint32(offset, true),
    port: view.getUint32(offset + 4, true),
  };
}

export function writePolicyKey(view: DataView, offset: number, value: PolicyKey): void {
  need(view, offset, POLICY_KEY_SIZE, 'policy_key');
  view.setUint32(offset, value.identity, true);
  view.setUint32(offset + 4, value.port, true);
}

export function encodePolicyKey(value: PolicyKey): Uint8Array {
  const bytes = new Uint8Array(POLICY_KEY_SIZE);
  writePolicyKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePolicyKey(bytes: Uint8Array, offset = 0): PolicyKey {
  return readPolicyKey(viewOf(bytes), offset);
}

export const PolicyKey: StructCodec<PolicyKey> = {
  size: POLICY_KEY_SIZE,
  read: readPolicyKey,
  write: writePolicyKey,
  encode: encodePolicyKey,
  decode: decodePolicyKey,
};

/** struct policy_verdict */
export interface PolicyVerdict {
  readonly verdict: number;
  readonly policy: number;
  readonly cidrTable: number;
}

export const POLICY_VERDICT_SIZE = 16;

export function readPolicyVerdict(view: DataView, offset: number): PolicyVerdict {
  need(view, offset, POLICY_VERDICT_SIZE, 'policy_verdict');
  return {
    verdict: view.getUint32(offset, true),
    policy: view.getUint32(offset + 4, true),
    cidrTable: view.getUint32(offset + 8, true),
  };
}

export function writePolicyVerdict(view: DataView, offset: number, value: PolicyVerdict): void {
  need(view, offset, POLICY_VERDICT_SIZE, 'policy_verdict');
  view.setUint32(offset, value.verdict, true);
  view.setUint32(offset + 4, value.policy, true);
  view.setUint32(offset + 8, value.cidrTable, true);
  view.setUint32(offset + 12, 0, true);
}

export function encodePolicyVerdict(value: PolicyVerdict): Uint8Array {
  const bytes = new Uint8Array(POLICY_VERDICT_SIZE);
  writePolicyVerdict(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePolicyVerdict(bytes: Uint8Array, offset = 0): PolicyVerdict {
  return readPolicyVerdict(viewOf(bytes), offset);
}

export const PolicyVerdict: StructCodec<PolicyVerdict> = {
  size: POLICY_VERDICT_SIZE,
  read: readPolicyVerdict,
  write: writePolicyVerdict,
  encode: encodePolicyVerdict,
  decode: decodePolicyVerdict,
};

/** struct cidr_key */
export interface CidrKey {
  readonly prefixlen: number;
  readonly table: number;
  readonly addr: Uint8Array;
}

export const CIDR_KEY_SIZE = 24;

export function readCidrKey(view: DataView, offset: number): CidrKey {
  need(view, offset, CIDR_KEY_SIZE, 'cidr_key');
  return {
    prefixlen: view.getUint32(offset, true),
    table: view.getUint32(offset + 4, true),
    addr: getBytes(view, offset + 8, 16),
  };
}

export function writeCidrKey(view: DataView, offset: number, value: CidrKey): void {
  need(view, offset, CIDR_KEY_SIZE, 'cidr_key');
  view.setUint32(offset, value.prefixlen, true);
  view.setUint32(offset + 4, value.table, true);
  setBytes(view, offset + 8, 16, value.addr, 'cidr_key.addr');
}

export function encodeCidrKey(value: CidrKey): Uint8Array {
  const bytes = new Uint8Array(CIDR_KEY_SIZE);
  writeCidrKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeCidrKey(bytes: Uint8Array, offset = 0): CidrKey {
  return readCidrKey(viewOf(bytes), offset);
}

export const CidrKey: StructCodec<CidrKey> = {
  size: CIDR_KEY_SIZE,
  read: readCidrKey,
  write: writeCidrKey,
  encode: encodeCidrKey,
  decode: decodeCidrKey,
};

/** struct pair_key */
export interface PairKey {
  readonly prefixlen: number;
  readonly source: number;
  readonly destination: number;
  readonly port: Uint8Array;
}

export const PAIR_KEY_SIZE = 16;

export function readPairKey(view: DataView, offset: number): PairKey {
  need(view, offset, PAIR_KEY_SIZE, 'pair_key');
  return {
    prefixlen: view.getUint32(offset, true),
    source: view.getUint32(offset + 4, true),
    destination: view.getUint32(offset + 8, true),
    port: getBytes(view, offset + 12, 2),
  };
}

export function writePairKey(view: DataView, offset: number, value: PairKey): void {
  need(view, offset, PAIR_KEY_SIZE, 'pair_key');
  view.setUint32(offset, value.prefixlen, true);
  view.setUint32(offset + 4, value.source, true);
  view.setUint32(offset + 8, value.destination, true);
  setBytes(view, offset + 12, 2, value.port, 'pair_key.port');
  view.setUint16(offset + 14, 0, true);
}

export function encodePairKey(value: PairKey): Uint8Array {
  const bytes = new Uint8Array(PAIR_KEY_SIZE);
  writePairKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePairKey(bytes: Uint8Array, offset = 0): PairKey {
  return readPairKey(viewOf(bytes), offset);
}

export const PairKey: StructCodec<PairKey> = {
  size: PAIR_KEY_SIZE,
  read: readPairKey,
  write: writePairKey,
  encode: encodePairKey,
  decode: decodePairKey,
};

/** struct trust_key */
export interface TrustKey {
  readonly inode: bigint;
  readonly device: number;
  readonly workload: number;
  readonly argv: bigint;
}

export const TRUST_KEY_SIZE = 24;

export function readTrustKey(view: DataView, offset: number): TrustKey {
  need(view, offset, TRUST_KEY_SIZE, 'trust_key');
  return {
    inode: view.getBigUint64(offset, true),
    device: view.getUint32(offset + 8, true),
    workload: view.getUint32(offset + 12, true),
    argv: view.getBigUint64(offset + 16, true),
  };
}

export function writeTrustKey(view: DataView, offset: number, value: TrustKey): void {
  need(view, offset, TRUST_KEY_SIZE, 'trust_key');
  view.setBigUint64(offset, value.inode, true);
  view.setUint32(offset + 8, value.device, true);
  view.setUint32(offset + 12, value.workload, true);
  view.setBigUint64(offset + 16, value.argv, true);
}

export function encodeTrustKey(value: TrustKey): Uint8Array {
  const bytes = new Uint8Array(TRUST_KEY_SIZE);
  writeTrustKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeTrustKey(bytes: Uint8Array, offset = 0): TrustKey {
  return readTrustKey(viewOf(bytes), offset);
}

export const TrustKey: StructCodec<TrustKey> = {
  size: TRUST_KEY_SIZE,
  read: readTrustKey,
  write: writeTrustKey,
  encode: encodeTrustKey,
  decode: decodeTrustKey,
};

/** struct trust */
export interface Trust {
  readonly state: number;
  readonly reason: number;
  readonly flags: number;
  readonly connections: number;
  readonly quiet: number;
  readonly tgid: number;
  readonly firstNs: bigint;
}

export const TRUST_SIZE = 32;

export function readTrust(view: DataView, offset: number): Trust {
  need(view, offset, TRUST_SIZE, 'trust');
  return {
    state: view.getUint32(offset, true),
    reason: view.getUint32(offset + 4, true),
    flags: view.getUint32(offset + 8, true),
    connections: view.getUint32(offset + 12, true),
    quiet: view.getUint32(offset + 16, true),
    tgid: view.getUint32(offset + 20, true),
    firstNs: view.getBigUint64(offset + 24, true),
  };
}

export function writeTrust(view: DataView, offset: number, value: Trust): void {
  need(view, offset, TRUST_SIZE, 'trust');
  view.setUint32(offset, value.state, true);
  view.setUint32(offset + 4, value.reason, true);
  view.setUint32(offset + 8, value.flags, true);
  view.setUint32(offset + 12, value.connections, true);
  view.setUint32(offset + 16, value.quiet, true);
  view.setUint32(offset + 20, value.tgid, true);
  view.setBigUint64(offset + 24, value.firstNs, true);
}

export function encodeTrust(value: Trust): Uint8Array {
  const bytes = new Uint8Array(TRUST_SIZE);
  writeTrust(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeTrust(bytes: Uint8Array, offset = 0): Trust {
  return readTrust(viewOf(bytes), offset);
}

export const Trust: StructCodec<Trust> = {
  size: TRUST_SIZE,
  read: readTrust,
  write: writeTrust,
  encode: encodeTrust,
  decode: decodeTrust,
};

/** struct observed_key */
export interface ObservedKey {
  readonly inode: bigint;
  readonly netns: bigint;
  readonly argv: bigint;
  readonly device: number;
}

export const OBSERVED_KEY_SIZE = 32;

export function readObservedKey(view: DataView, offset: number): ObservedKey {
  need(view, offset, OBSERVED_KEY_SIZE, 'observed_key');
  return {
    inode: view.getBigUint64(offset, true),
    netns: view.getBigUint64(offset + 8, true),
    argv: view.getBigUint64(offset + 16, true),
    device: view.getUint32(offset + 24, true),
  };
}

export function writeObservedKey(view: DataView, offset: number, value: ObservedKey): void {
  need(view, offset, OBSERVED_KEY_SIZE, 'observed_key');
  view.setBigUint64(offset, value.inode, true);
  view.setBigUint64(offset + 8, value.netns, true);
  view.setBigUint64(offset + 16, value.argv, true);
  view.setUint32(offset + 24, value.device, true);
  view.setUint32(offset + 28, 0, true);
}

export function encodeObservedKey(value: ObservedKey): Uint8Array {
  const bytes = new Uint8Array(OBSERVED_KEY_SIZE);
  writeObservedKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeObservedKey(bytes: Uint8Array, offset = 0): ObservedKey {
  return readObservedKey(viewOf(bytes), offset);
}

export const ObservedKey: StructCodec<ObservedKey> = {
  size: OBSERVED_KEY_SIZE,
  read: readObservedKey,
  write: writeObservedKey,
  encode: encodeObservedKey,
  decode: decodeObservedKey,
};

/** struct live_conn */
export interface LiveConn {
  readonly trust: TrustKey;
  readonly cookie: bigint;
  readonly received: bigint;
}

export const LIVE_CONN_SIZE = 40;

export function readLiveConn(view: DataView, offset: number): LiveConn {
  need(view, offset, LIVE_CONN_SIZE, 'live_conn');
  return {
    trust: readTrustKey(view, offset),
    cookie: view.getBigUint64(offset + 24, true),
    received: view.getBigUint64(offset + 32, true),
  };
}

export function writeLiveConn(view: DataView, offset: number, value: LiveConn): void {
  need(view, offset, LIVE_CONN_SIZE, 'live_conn');
  writeTrustKey(view, offset, value.trust);
  view.setBigUint64(offset + 24, value.cookie, true);
  view.setBigUint64(offset + 32, value.received, true);
}

export function encodeLiveConn(value: LiveConn): Uint8Array {
  const bytes = new Uint8Array(LIVE_CONN_SIZE);
  writeLiveConn(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeLiveConn(bytes: Uint8Array, offset = 0): LiveConn {
  return readLiveConn(viewOf(bytes), offset);
}

export const LiveConn: StructCodec<LiveConn> = {
  size: LIVE_CONN_SIZE,
  read: readLiveConn,
  write: writeLiveConn,
  encode: encodeLiveConn,
  decode: decodeLiveConn,
};

/** struct behaviours */
export interface Behaviours {
  readonly count: readonly bigint[];
  readonly tgid: number;
}

export const BEHAVIOURS_SIZE = 72;

export function readBehaviours(view: DataView, offset: number): Behaviours {
  need(view, offset, BEHAVIOURS_SIZE, 'behaviours');
  return {
    count: [
      view.getBigUint64(offset, true),
      view.getBigUint64(offset + 8, true),
      view.getBigUint64(offset + 16, true),
      view.getBigUint64(offset + 24, true),
      view.getBigUint64(offset + 32, true),
      view.getBigUint64(offset + 40, true),
      view.getBigUint64(offset + 48, true),
      view.getBigUint64(offset + 56, true),
    ],
    tgid: view.getUint32(offset + 64, true),
  };
}

export function writeBehaviours(view: DataView, offset: number, value: Behaviours): void {
  need(view, offset, BEHAVIOURS_SIZE, 'behaviours');
  count(value.count, 8, 'behaviours.count');
  view.setBigUint64(offset, value.count[0]!, true);
  view.setBigUint64(offset + 8, value.count[1]!, true);
  view.setBigUint64(offset + 16, value.count[2]!, true);
  view.setBigUint64(offset + 24, value.count[3]!, true);
  view.setBigUint64(offset + 32, value.count[4]!, true);
  view.setBigUint64(offset + 40, value.count[5]!, true);
  view.setBigUint64(offset + 48, value.count[6]!, true);
  view.setBigUint64(offset + 56, value.count[7]!, true);
  view.setUint32(offset + 64, value.tgid, true);
  view.setUint32(offset + 68, 0, true);
}

export function encodeBehaviours(value: Behaviours): Uint8Array {
  const bytes = new Uint8Array(BEHAVIOURS_SIZE);
  writeBehaviours(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeBehaviours(bytes: Uint8Array, offset = 0): Behaviours {
  return readBehaviours(viewOf(bytes), offset);
}

export const Behaviours: StructCodec<Behaviours> = {
  size: BEHAVIOURS_SIZE,
  read: readBehaviours,
  write: writeBehaviours,
  encode: encodeBehaviours,
  decode: decodeBehaviours,
};

/** struct listening_key */
export interface ListeningKey {
  readonly netns: bigint;
  readonly port: number;
}

export const LISTENING_KEY_SIZE = 16;

export function readListeningKey(view: DataView, offset: number): ListeningKey {
  need(view, offset, LISTENING_KEY_SIZE, 'listening_key');
  return {
    netns: view.getBigUint64(offset, true),
    port: view.getUint32(offset + 8, true),
  };
}

export function writeListeningKey(view: DataView, offset: number, value: ListeningKey): void {
  need(view, offset, LISTENING_KEY_SIZE, 'listening_key');
  view.setBigUint64(offset, value.netns, true);
  view.setUint32(offset + 8, value.port, true);
  view.setUint32(offset + 12, 0, true);
}

export function encodeListeningKey(value: ListeningKey): Uint8Array {
  const bytes = new Uint8Array(LISTENING_KEY_SIZE);
  writeListeningKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeListeningKey(bytes: Uint8Array, offset = 0): ListeningKey {
  return readListeningKey(viewOf(bytes), offset);
}

export const ListeningKey: StructCodec<ListeningKey> = {
  size: LISTENING_KEY_SIZE,
  read: readListeningKey,
  write: writeListeningKey,
  encode: encodeListeningKey,
  decode: decodeListeningKey,
};

/** struct flood_key */
export interface FloodKey {
  readonly client: TrustKey;
  readonly pod: number;
  readonly port: number;
}

export const FLOOD_KEY_SIZE = 32;

export function readFloodKey(view: DataView, offset: number): FloodKey {
  need(view, offset, FLOOD_KEY_SIZE, 'flood_key');
  return {
    client: readTrustKey(view, offset),
    pod: view.getUint32(offset + 24, true),
    port: view.getUint32(offset + 28, true),
  };
}

export function writeFloodKey(view: DataView, offset: number, value: FloodKey): void {
  need(view, offset, FLOOD_KEY_SIZE, 'flood_key');
  writeTrustKey(view, offset, value.client);
  view.setUint32(offset + 24, value.pod, true);
  view.setUint32(offset + 28, value.port, true);
}

export function encodeFloodKey(value: FloodKey): Uint8Array {
  const bytes = new Uint8Array(FLOOD_KEY_SIZE);
  writeFloodKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeFloodKey(bytes: Uint8Array, offset = 0): FloodKey {
  return readFloodKey(viewOf(bytes), offset);
}

export const FloodKey: StructCodec<FloodKey> = {
  size: FLOOD_KEY_SIZE,
  read: readFloodKey,
  write: writeFloodKey,
  encode: encodeFloodKey,
  decode: decodeFloodKey,
};

/** struct record */
export interface Record {
  readonly version: number;
  readonly flags: number;
  readonly netns: bigint;
  readonly cookie: bigint;
  readonly pod: number;
  readonly identity: number;
  readonly epoch: number;
  readonly tgid: number;
  readonly bornNs: bigint;
  readonly clientTrust: TrustKey;
  readonly dialled: Uint8Array;
  readonly target: Uint8Array;
  readonly client: Uint8Array;
  readonly dialledPort: number;
  readonly targetPort: number;
  readonly clientPort: number;
  readonly service: number;
  readonly backend: number;
  readonly pair: number;
  readonly reason: number;
  readonly ends: number;
  readonly turn: number;
  readonly charged: number;
  readonly destinationPod: number;
  readonly destinationIdentity: number;
  readonly clientSock: bigint;
  readonly serverSock: bigint;
  readonly serverCookie: bigint;
  readonly clientSent: bigint;
  readonly clientReceived: bigint;
  readonly serverSent: bigint;
  readonly serverReceived: bigint;
  readonly clientRedirected: bigint;
  readonly serverRedirected: bigint;
}

export const RECORD_SIZE = 240;

export function readRecord(view: DataView, offset: number): Record {
  need(view, offset, RECORD_SIZE, 'record');
  return {
    version: view.getUint32(offset, true),
    flags: view.getUint32(offset + 4, true),
    netns: view.getBigUint64(offset + 8, true),
    cookie: view.getBigUint64(offset + 16, true),
    pod: view.getUint32(offset + 24, true),
    identity: view.getUint32(offset + 28, true),
    epoch: view.getUint32(offset + 32, true),
    tgid: view.getUint32(offset + 36, true),
    bornNs: view.getBigUint64(offset + 40, true),
    clientTrust: readTrustKey(view, offset + 48),
    dialled: getBytes(view, offset + 72, 16),
    target: getBytes(view, offset + 88, 16),
    client: getBytes(view, offset + 104, 16),
    dialledPort: view.getUint16(offset + 120, true),
    targetPort: view.getUint16(offset + 122, true),
    clientPort: view.getUint16(offset + 124, true),
    service: view.getUint32(offset + 128, true),
    backend: view.getUint32(offset + 132, true),
    pair: view.getUint32(offset + 136, true),
    reason: view.getUint32(offset + 140, true),
    ends: view.getUint32(offset + 144, true),
    turn: view.getUint32(offset + 148, true),
    charged: view.getUint32(offset + 152, true),
    destinationPod: view.getUint32(offset + 156, true),
    destinationIdentity: view.getUint32(offset + 160, true),
    clientSock: view.getBigUint64(offset + 168, true),
    serverSock: view.getBigUint64(offset + 176, true),
    serverCookie: view.getBigUint64(offset + 184, true),
    clientSent: view.getBigUint64(offset + 192, true),
    clientReceived: view.getBigUint64(offset + 200, true),
    serverSent: view.getBigUint64(offset + 208, true),
    serverReceived: view.getBigUint64(offset + 216, true),
    clientRedirected: view.getBigUint64(offset + 224, true),
    serverRedirected: view.getBigUint64(offset + 232, true),
  };
}

export function writeRecord(view: DataView, offset: number, value: Record): void {
  need(view, offset, RECORD_SIZE, 'record');
  view.setUint32(offset, value.version, true);
  view.setUint32(offset + 4, value.flags, true);
  view.setBigUint64(offset + 8, value.netns, true);
  view.setBigUint64(offset + 16, value.cookie, true);
  view.setUint32(offset + 24, value.pod, true);
  view.setUint32(offset + 28, value.identity, true);
  view.setUint32(offset + 32, value.epoch, true);
  view.setUint32(offset + 36, value.tgid, true);
  view.setBigUint64(offset + 40, value.bornNs, true);
  writeTrustKey(view, offset + 48, value.clientTrust);
  setBytes(view, offset + 72, 16, value.dialled, 'record.dialled');
  setBytes(view, offset + 88, 16, value.target, 'record.target');
  setBytes(view, offset + 104, 16, value.client, 'record.client');
  view.setUint16(offset + 120, value.dialledPort, true);
  view.setUint16(offset + 122, value.targetPort, true);
  view.setUint16(offset + 124, value.clientPort, true);
  view.setUint16(offset + 126, 0, true);
  view.setUint32(offset + 128, value.service, true);
  view.setUint32(offset + 132, value.backend, true);
  view.setUint32(offset + 136, value.pair, true);
  view.setUint32(offset + 140, value.reason, true);
  view.setUint32(offset + 144, value.ends, true);
  view.setUint32(offset + 148, value.turn, true);
  view.setUint32(offset + 152, value.charged, true);
  view.setUint32(offset + 156, value.destinationPod, true);
  view.setUint32(offset + 160, value.destinationIdentity, true);
  view.setUint32(offset + 164, 0, true);
  view.setBigUint64(offset + 168, value.clientSock, true);
  view.setBigUint64(offset + 176, value.serverSock, true);
  view.setBigUint64(offset + 184, value.serverCookie, true);
  view.setBigUint64(offset + 192, value.clientSent, true);
  view.setBigUint64(offset + 200, value.clientReceived, true);
  view.setBigUint64(offset + 208, value.serverSent, true);
  view.setBigUint64(offset + 216, value.serverReceived, true);
  view.setBigUint64(offset + 224, value.clientRedirected, true);
  view.setBigUint64(offset + 232, value.serverRedirected, true);
}

export function encodeRecord(value: Record): Uint8Array {
  const bytes = new Uint8Array(RECORD_SIZE);
  writeRecord(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeRecord(bytes: Uint8Array, offset = 0): Record {
  return readRecord(viewOf(bytes), offset);
}

export const Record: StructCodec<Record> = {
  size: RECORD_SIZE,
  read: readRecord,
  write: writeRecord,
  encode: encodeRecord,
  decode: decodeRecord,
};

/** struct intent */
export interface Intent {
  readonly dialled: Uint8Array;
  readonly target: Uint8Array;
  readonly dialledPort: number;
  readonly targetPort: number;
  readonly service: number;
  readonly backend: number;
  readonly limit: number;
  readonly flags: number;
}

export const INTENT_SIZE = 52;

export function readIntent(view: DataView, offset: number): Intent {
  need(view, offset, INTENT_SIZE, 'intent');
  return {
    dialled: getBytes(view, offset, 16),
    target: getBytes(view, offset + 16, 16),
    dialledPort: view.getUint16(offset + 32, true),
    targetPort: view.getUint16(offset + 34, true),
    service: view.getUint32(offset + 36, true),
    backend: view.getUint32(offset + 40, true),
    limit: view.getUint32(offset + 44, true),
    flags: view.getUint32(offset + 48, true),
  };
}

export function writeIntent(view: DataView, offset: number, value: Intent): void {
  need(view, offset, INTENT_SIZE, 'intent');
  setBytes(view, offset, 16, value.dialled, 'intent.dialled');
  setBytes(view, offset + 16, 16, value.target, 'intent.target');
  view.setUint16(offset + 32, value.dialledPort, true);
  view.setUint16(offset + 34, value.targetPort, true);
  view.setUint32(offset + 36, value.service, true);
  view.setUint32(offset + 40, value.backend, true);
  view.setUint32(offset + 44, value.limit, true);
  view.setUint32(offset + 48, value.flags, true);
}

export function encodeIntent(value: Intent): Uint8Array {
  const bytes = new Uint8Array(INTENT_SIZE);
  writeIntent(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeIntent(bytes: Uint8Array, offset = 0): Intent {
  return readIntent(viewOf(bytes), offset);
}

export const Intent: StructCodec<Intent> = {
  size: INTENT_SIZE,
  read: readIntent,
  write: writeIntent,
  encode: encodeIntent,
  decode: decodeIntent,
};

/** struct agent_sock */
export interface AgentSock {
  readonly flags: number;
  readonly identity: number;
  readonly client: Uint8Array;
  readonly clientPort: number;
  readonly pod: number;
}

export const AGENT_SOCK_SIZE = 32;

export function readAgentSock(view: DataView, offset: number): AgentSock {
  need(view, offset, AGENT_SOCK_SIZE, 'agent_sock');
  return {
    flags: view.getUint32(offset, true),
    identity: view.getUint32(offset + 4, true),
    client: getBytes(view, offset + 8, 16),
    clientPort: view.getUint16(offset + 24, true),
    pod: view.getUint32(offset + 28, true),
  };
}

export function writeAgentSock(view: DataView, offset: number, value: AgentSock): void {
  need(view, offset, AGENT_SOCK_SIZE, 'agent_sock');
  view.setUint32(offset, value.flags, true);
  view.setUint32(offset + 4, value.identity, true);
  setBytes(view, offset + 8, 16, value.client, 'agent_sock.client');
  view.setUint16(offset + 24, value.clientPort, true);
  view.setUint16(offset + 26, 0, true);
  view.setUint32(offset + 28, value.pod, true);
}

export function encodeAgentSock(value: AgentSock): Uint8Array {
  const bytes = new Uint8Array(AGENT_SOCK_SIZE);
  writeAgentSock(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeAgentSock(bytes: Uint8Array, offset = 0): AgentSock {
  return readAgentSock(viewOf(bytes), offset);
}

export const AgentSock: StructCodec<AgentSock> = {
  size: AGENT_SOCK_SIZE,
  read: readAgentSock,
  write: writeAgentSock,
  encode: encodeAgentSock,
  decode: decodeAgentSock,
};

/** struct tunnel */
export interface Tunnel {
  readonly flags: number;
}

export const TUNNEL_SIZE = 4;

export function readTunnel(view: DataView, offset: number): Tunnel {
  need(view, offset, TUNNEL_SIZE, 'tunnel');
  return {
    flags: view.getUint32(offset, true),
  };
}

export function writeTunnel(view: DataView, offset: number, value: Tunnel): void {
  need(view, offset, TUNNEL_SIZE, 'tunnel');
  view.setUint32(offset, value.flags, true);
}

export function encodeTunnel(value: Tunnel): Uint8Array {
  const bytes = new Uint8Array(TUNNEL_SIZE);
  writeTunnel(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeTunnel(bytes: Uint8Array, offset = 0): Tunnel {
  return readTunnel(viewOf(bytes), offset);
}

export const Tunnel: StructCodec<Tunnel> = {
  size: TUNNEL_SIZE,
  read: readTunnel,
  write: writeTunnel,
  encode: encodeTunnel,
  decode: decodeTunnel,
};

/** struct peer_view */
export interface PeerView {
  readonly addr: Uint8Array;
  readonly port: number;
}

export const PEER_VIEW_SIZE = 20;

export function readPeerView(view: DataView, offset: number): PeerView {
  need(view, offset, PEER_VIEW_SIZE, 'peer_view');
  return {
    addr: getBytes(view, offset, 16),
    port: view.getUint16(offset + 16, true),
  };
}

export function writePeerView(view: DataView, offset: number, value: PeerView): void {
  need(view, offset, PEER_VIEW_SIZE, 'peer_view');
  setBytes(view, offset, 16, value.addr, 'peer_view.addr');
  view.setUint16(offset + 16, value.port, true);
  view.setUint16(offset + 18, 0, true);
}

export function encodePeerView(value: PeerView): Uint8Array {
  const bytes = new Uint8Array(PEER_VIEW_SIZE);
  writePeerView(viewOf(bytes), 0, value);
  return bytes;
}

export function decodePeerView(bytes: Uint8Array, offset = 0): PeerView {
  return readPeerView(viewOf(bytes), offset);
}

export const PeerView: StructCodec<PeerView> = {
  size: PEER_VIEW_SIZE,
  read: readPeerView,
  write: writePeerView,
  encode: encodePeerView,
  decode: decodePeerView,
};

/** struct conn */
export interface Conn {
  readonly peer: FlowKey;
  readonly peerSock: bigint;
  readonly peerCookie: bigint;
  readonly cookie: bigint;
  readonly netns: bigint;
  readonly bornNs: bigint;
  readonly trust: TrustKey;
  readonly flags: number;
  readonly leg: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly sourcePod: number;
  readonly destinationPod: number;
  readonly reason: number;
  readonly service: number;
  readonly turn: number;
  readonly run: number;
  readonly messages: number;
  readonly markMessages: number;
  readonly mark: bigint;
  readonly floodBytes: bigint;
  readonly redirectedBytes: bigint;
  readonly redirectedMessages: bigint;
  readonly tcpMessages: bigint;
  readonly dialled: Uint8Array;
  readonly dialledPort: number;
  readonly epoch: number;
  readonly lease: number;
  readonly policy: number;
}

export const CONN_SIZE = 232;

export function readConn(view: DataView, offset: number): Conn {
  need(view, offset, CONN_SIZE, 'conn');
  return {
    peer: readFlowKey(view, offset),
    peerSock: view.getBigUint64(offset + 48, true),
    peerCookie: view.getBigUint64(offset + 56, true),
    cookie: view.getBigUint64(offset + 64, true),
    netns: view.getBigUint64(offset + 72, true),
    bornNs: view.getBigUint64(offset + 80, true),
    trust: readTrustKey(view, offset + 88),
    flags: view.getUint32(offset + 112, true),
    leg: view.getUint32(offset + 116, true),
    sourceIdentity: view.getUint32(offset + 120, true),
    destinationIdentity: view.getUint32(offset + 124, true),
    sourcePod: view.getUint32(offset + 128, true),
    destinationPod: view.getUint32(offset + 132, true),
    reason: view.getUint32(offset + 136, true),
    service: view.getUint32(offset + 140, true),
    turn: view.getUint32(offset + 144, true),
    run: view.getUint32(offset + 148, true),
    messages: view.getUint32(offset + 152, true),
    markMessages: view.getUint32(offset + 156, true),
    mark: view.getBigUint64(offset + 160, true),
    floodBytes: view.getBigUint64(offset + 168, true),
    redirectedBytes: view.getBigUint64(offset + 176, true),
    redirectedMessages: view.getBigUint64(offset + 184, true),
    tcpMessages: view.getBigUint64(offset + 192, true),
    dialled: getBytes(view, offset + 200, 16),
    dialledPort: view.getUint16(offset + 216, true),
    epoch: view.getUint32(offset + 220, true),
    lease: view.getUint32(offset + 224, true),
    policy: view.getUint32(offset + 228, true),
  };
}

export function writeConn(view: DataView, offset: number, value: Conn): void {
  need(view, offset, CONN_SIZE, 'conn');
  writeFlowKey(view, offset, value.peer);
  view.setBigUint64(offset + 48, value.peerSock, true);
  view.setBigUint64(offset + 56, value.peerCookie, true);
  view.setBigUint64(offset + 64, value.cookie, true);
  view.setBigUint64(offset + 72, value.netns, true);
  view.setBigUint64(offset + 80, value.bornNs, true);
  writeTrustKey(view, offset + 88, value.trust);
  view.setUint32(offset + 112, value.flags, true);
  view.setUint32(offset + 116, value.leg, true);
  view.setUint32(offset + 120, value.sourceIdentity, true);
  view.setUint32(offset + 124, value.destinationIdentity, true);
  view.setUint32(offset + 128, value.sourcePod, true);
  view.setUint32(offset + 132, value.destinationPod, true);
  view.setUint32(offset + 136, value.reason, true);
  view.setUint32(offset + 140, value.service, true);
  view.setUint32(offset + 144, value.turn, true);
  view.setUint32(offset + 148, value.run, true);
  view.setUint32(offset + 152, value.messages, true);
  view.setUint32(offset + 156, value.markMessages, true);
  view.setBigUint64(offset + 160, value.mark, true);
  view.setBigUint64(offset + 168, value.floodBytes, true);
  view.setBigUint64(offset + 176, value.redirectedBytes, true);
  view.setBigUint64(offset + 184, value.redirectedMessages, true);
  view.setBigUint64(offset + 192, value.tcpMessages, true);
  setBytes(view, offset + 200, 16, value.dialled, 'conn.dialled');
  view.setUint16(offset + 216, value.dialledPort, true);
  view.setUint16(offset + 218, 0, true);
  view.setUint32(offset + 220, value.epoch, true);
  view.setUint32(offset + 224, value.lease, true);
  view.setUint32(offset + 228, value.policy, true);
}

export function encodeConn(value: Conn): Uint8Array {
  const bytes = new Uint8Array(CONN_SIZE);
  writeConn(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeConn(bytes: Uint8Array, offset = 0): Conn {
  return readConn(viewOf(bytes), offset);
}

export const Conn: StructCodec<Conn> = {
  size: CONN_SIZE,
  read: readConn,
  write: writeConn,
  encode: encodeConn,
  decode: decodeConn,
};

/** struct conn_view */
export interface ConnView {
  readonly version: number;
  readonly size: number;
  readonly key: FlowKey;
  readonly cookie: bigint;
  readonly netns: bigint;
  readonly peerCookie: bigint;
  readonly bornNs: bigint;
  readonly sent: bigint;
  readonly received: bigint;
  readonly redirectedBytes: bigint;
  readonly redirectedMessages: bigint;
  readonly tcpMessages: bigint;
  readonly flags: number;
  readonly state: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly sourcePod: number;
  readonly destinationPod: number;
  readonly reason: number;
  readonly service: number;
  readonly trust: TrustKey;
  readonly dialled: Uint8Array;
  readonly dialledPort: number;
  readonly clientPort: number;
  readonly srttUs: number;
  readonly client: Uint8Array;
}

export const CONN_VIEW_SIZE = 224;

export function readConnView(view: DataView, offset: number): ConnView {
  need(view, offset, CONN_VIEW_SIZE, 'conn_view');
  return {
    version: view.getUint32(offset, true),
    size: view.getUint32(offset + 4, true),
    key: readFlowKey(view, offset + 8),
    cookie: view.getBigUint64(offset + 56, true),
    netns: view.getBigUint64(offset + 64, true),
    peerCookie: view.getBigUint64(offset + 72, true),
    bornNs: view.getBigUint64(offset + 80, true),
    sent: view.getBigUint64(offset + 88, true),
    received: view.getBigUint64(offset + 96, true),
    redirectedBytes: view.getBigUint64(offset + 104, true),
    redirectedMessages: view.getBigUint64(offset + 112, true),
    tcpMessages: view.getBigUint64(offset + 120, true),
    flags: view.getUint32(offset + 128, true),
    state: view.getUint32(offset + 132, true),
    sourceIdentity: view.getUint32(offset + 136, true),
    destinationIdentity: view.getUint32(offset + 140, true),
    sourcePod: view.getUint32(offset + 144, true),
    destinationPod: view.getUint32(offset + 148, true),
    reason: view.getUint32(offset + 152, true),
    service: view.getUint32(offset + 156, true),
    trust: readTrustKey(view, offset + 160),
    dialled: getBytes(view, offset + 184, 16),
    dialledPort: view.getUint16(offset + 200, true),
    clientPort: view.getUint16(offset + 202, true),
    srttUs: view.getUint32(offset + 204, true),
    client: getBytes(view, offset + 208, 16),
  };
}

export function writeConnView(view: DataView, offset: number, value: ConnView): void {
  need(view, offset, CONN_VIEW_SIZE, 'conn_view');
  view.setUint32(offset, value.version, true);
  view.setUint32(offset + 4, value.size, true);
  writeFlowKey(view, offset + 8, value.key);
  view.setBigUint64(offset + 56, value.cookie, true);
  view.setBigUint64(offset + 64, value.netns, true);
  view.setBigUint64(offset + 72, value.peerCookie, true);
  view.setBigUint64(offset + 80, value.bornNs, true);
  view.setBigUint64(offset + 88, value.sent, true);
  view.setBigUint64(offset + 96, value.received, true);
  view.setBigUint64(offset + 104, value.redirectedBytes, true);
  view.setBigUint64(offset + 112, value.redirectedMessages, true);
  view.setBigUint64(offset + 120, value.tcpMessages, true);
  view.setUint32(offset + 128, value.flags, true);
  view.setUint32(offset + 132, value.state, true);
  view.setUint32(offset + 136, value.sourceIdentity, true);
  view.setUint32(offset + 140, value.destinationIdentity, true);
  view.setUint32(offset + 144, value.sourcePod, true);
  view.setUint32(offset + 148, value.destinationPod, true);
  view.setUint32(offset + 152, value.reason, true);
  view.setUint32(offset + 156, value.service, true);
  writeTrustKey(view, offset + 160, value.trust);
  setBytes(view, offset + 184, 16, value.dialled, 'conn_view.dialled');
  view.setUint16(offset + 200, value.dialledPort, true);
  view.setUint16(offset + 202, value.clientPort, true);
  view.setUint32(offset + 204, value.srttUs, true);
  setBytes(view, offset + 208, 16, value.client, 'conn_view.client');
}

export function encodeConnView(value: ConnView): Uint8Array {
  const bytes = new Uint8Array(CONN_VIEW_SIZE);
  writeConnView(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeConnView(bytes: Uint8Array, offset = 0): ConnView {
  return readConnView(viewOf(bytes), offset);
}

export const ConnView: StructCodec<ConnView> = {
  size: CONN_VIEW_SIZE,
  read: readConnView,
  write: writeConnView,
  encode: encodeConnView,
  decode: decodeConnView,
};

/** struct flow_event */
export interface FlowEvent {
  readonly type: number;
  readonly reason: number;
  readonly key: FlowKey;
  readonly bornNs: bigint;
  readonly endedNs: bigint;
  readonly cookie: bigint;
  readonly serverCookie: bigint;
  readonly clientSent: bigint;
  readonly serverSent: bigint;
  readonly redirectedBytes: bigint;
  readonly flags: number;
  readonly path: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly sourcePod: number;
  readonly destinationPod: number;
  readonly service: number;
  readonly policy: number;
  readonly dialled: Uint8Array;
  readonly dialledPort: number;
  readonly clientPort: number;
  readonly ends: number;
  readonly client: Uint8Array;
}

export const FLOW_EVENT_SIZE = 184;

export function readFlowEvent(view: DataView, offset: number): FlowEvent {
  need(view, offset, FLOW_EVENT_SIZE, 'flow_event');
  return {
    type: view.getUint32(offset, true),
    reason: view.getUint32(offset + 4, true),
    key: readFlowKey(view, offset + 8),
    bornNs: view.getBigUint64(offset + 56, true),
    endedNs: view.getBigUint64(offset + 64, true),
    cookie: view.getBigUint64(offset + 72, true),
    serverCookie: view.getBigUint64(offset + 80, true),
    clientSent: view.getBigUint64(offset + 88, true),
    serverSent: view.getBigUint64(offset + 96, true),
    redirectedBytes: view.getBigUint64(offset + 104, true),
    flags: view.getUint32(offset + 112, true),
    path: view.getUint32(offset + 116, true),
    sourceIdentity: view.getUint32(offset + 120, true),
    destinationIdentity: view.getUint32(offset + 124, true),
    sourcePod: view.getUint32(offset + 128, true),
    destinationPod: view.getUint32(offset + 132, true),
    service: view.getUint32(offset + 136, true),
    policy: view.getUint32(offset + 140, true),
    dialled: getBytes(view, offset + 144, 16),
    dialledPort: view.getUint16(offset + 160, true),
    clientPort: view.getUint16(offset + 162, true),
    ends: view.getUint32(offset + 164, true),
    client: getBytes(view, offset + 168, 16),
  };
}

export function writeFlowEvent(view: DataView, offset: number, value: FlowEvent): void {
  need(view, offset, FLOW_EVENT_SIZE, 'flow_event');
  view.setUint32(offset, value.type, true);
  view.setUint32(offset + 4, value.reason, true);
  writeFlowKey(view, offset + 8, value.key);
  view.setBigUint64(offset + 56, value.bornNs, true);
  view.setBigUint64(offset + 64, value.endedNs, true);
  view.setBigUint64(offset + 72, value.cookie, true);
  view.setBigUint64(offset + 80, value.serverCookie, true);
  view.setBigUint64(offset + 88, value.clientSent, true);
  view.setBigUint64(offset + 96, value.serverSent, true);
  view.setBigUint64(offset + 104, value.redirectedBytes, true);
  view.setUint32(offset + 112, value.flags, true);
  view.setUint32(offset + 116, value.path, true);
  view.setUint32(offset + 120, value.sourceIdentity, true);
  view.setUint32(offset + 124, value.destinationIdentity, true);
  view.setUint32(offset + 128, value.sourcePod, true);
  view.setUint32(offset + 132, value.destinationPod, true);
  view.setUint32(offset + 136, value.service, true);
  view.setUint32(offset + 140, value.policy, true);
  setBytes(view, offset + 144, 16, value.dialled, 'flow_event.dialled');
  view.setUint16(offset + 160, value.dialledPort, true);
  view.setUint16(offset + 162, value.clientPort, true);
  view.setUint32(offset + 164, value.ends, true);
  setBytes(view, offset + 168, 16, value.client, 'flow_event.client');
}

export function encodeFlowEvent(value: FlowEvent): Uint8Array {
  const bytes = new Uint8Array(FLOW_EVENT_SIZE);
  writeFlowEvent(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeFlowEvent(bytes: Uint8Array, offset = 0): FlowEvent {
  return readFlowEvent(viewOf(bytes), offset);
}

export const FlowEvent: StructCodec<FlowEvent> = {
  size: FLOW_EVENT_SIZE,
  read: readFlowEvent,
  write: writeFlowEvent,
  encode: encodeFlowEvent,
  decode: decodeFlowEvent,
};

/** struct trust_event */
export interface TrustEvent {
  readonly type: number;
  readonly key: TrustKey;
  readonly tgid: number;
  readonly pod: number;
}

export const TRUST_EVENT_SIZE = 40;

export function readTrustEvent(view: DataView, offset: number): TrustEvent {
  need(view, offset, TRUST_EVENT_SIZE, 'trust_event');
  return {
    type: view.getUint32(offset, true),
    key: readTrustKey(view, offset + 8),
    tgid: view.getUint32(offset + 32, true),
    pod: view.getUint32(offset + 36, true),
  };
}

export function writeTrustEvent(view: DataView, offset: number, value: TrustEvent): void {
  need(view, offset, TRUST_EVENT_SIZE, 'trust_event');
  view.setUint32(offset, value.type, true);
  view.setUint32(offset + 4, 0, true);
  writeTrustKey(view, offset + 8, value.key);
  view.setUint32(offset + 32, value.tgid, true);
  view.setUint32(offset + 36, value.pod, true);
}

export function encodeTrustEvent(value: TrustEvent): Uint8Array {
  const bytes = new Uint8Array(TRUST_EVENT_SIZE);
  writeTrustEvent(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeTrustEvent(bytes: Uint8Array, offset = 0): TrustEvent {
  return readTrustEvent(viewOf(bytes), offset);
}

export const TrustEvent: StructCodec<TrustEvent> = {
  size: TRUST_EVENT_SIZE,
  read: readTrustEvent,
  write: writeTrustEvent,
  encode: encodeTrustEvent,
  decode: decodeTrustEvent,
};

/** struct stall */
export interface Stall {
  readonly sock: bigint;
  readonly cookie: bigint;
  readonly head: bigint;
  readonly netns: bigint;
  readonly unread: number;
  readonly headBytes: number;
  readonly trust: TrustKey;
}

export const STALL_SIZE = 64;

export function readStall(view: DataView, offset: number): Stall {
  need(view, offset, STALL_SIZE, 'stall');
  return {
    sock: view.getBigUint64(offset, true),
    cookie: view.getBigUint64(offset + 8, true),
    head: view.getBigUint64(offset + 16, true),
    netns: view.getBigUint64(offset + 24, true),
    unread: view.getUint32(offset + 32, true),
    headBytes: view.getUint32(offset + 36, true),
    trust: readTrustKey(view, offset + 40),
  };
}

export function writeStall(view: DataView, offset: number, value: Stall): void {
  need(view, offset, STALL_SIZE, 'stall');
  view.setBigUint64(offset, value.sock, true);
  view.setBigUint64(offset + 8, value.cookie, true);
  view.setBigUint64(offset + 16, value.head, true);
  view.setBigUint64(offset + 24, value.netns, true);
  view.setUint32(offset + 32, value.unread, true);
  view.setUint32(offset + 36, value.headBytes, true);
  writeTrustKey(view, offset + 40, value.trust);
}

export function encodeStall(value: Stall): Uint8Array {
  const bytes = new Uint8Array(STALL_SIZE);
  writeStall(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeStall(bytes: Uint8Array, offset = 0): Stall {
  return readStall(viewOf(bytes), offset);
}

export const Stall: StructCodec<Stall> = {
  size: STALL_SIZE,
  read: readStall,
  write: writeStall,
  encode: encodeStall,
  decode: decodeStall,
};

/** struct adopted */
export interface Adopted {
  readonly key: TrustKey;
  readonly netns: bigint;
  readonly tgid: number;
  readonly port: number;
}

export const ADOPTED_SIZE = 40;

export function readAdopted(view: DataView, offset: number): Adopted {
  need(view, offset, ADOPTED_SIZE, 'adopted');
  return {
    key: readTrustKey(view, offset),
    netns: view.getBigUint64(offset + 24, true),
    tgid: view.getUint32(offset + 32, true),
    port: view.getUint32(offset + 36, true),
  };
}

export function writeAdopted(view: DataView, offset: number, value: Adopted): void {
  need(view, offset, ADOPTED_SIZE, 'adopted');
  writeTrustKey(view, offset, value.key);
  view.setBigUint64(offset + 24, value.netns, true);
  view.setUint32(offset + 32, value.tgid, true);
  view.setUint32(offset + 36, value.port, true);
}

export function encodeAdopted(value: Adopted): Uint8Array {
  const bytes = new Uint8Array(ADOPTED_SIZE);
  writeAdopted(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeAdopted(bytes: Uint8Array, offset = 0): Adopted {
  return readAdopted(viewOf(bytes), offset);
}

export const Adopted: StructCodec<Adopted> = {
  size: ADOPTED_SIZE,
  read: readAdopted,
  write: writeAdopted,
  encode: encodeAdopted,
  decode: decodeAdopted,
};

/** struct sock_owner */
export interface SockOwner {
  readonly sock: bigint;
  readonly cookie: bigint;
  readonly tgid: number;
  readonly fd: number;
}

export const SOCK_OWNER_SIZE = 24;

export function readSockOwner(view: DataView, offset: number): SockOwner {
  need(view, offset, SOCK_OWNER_SIZE, 'sock_owner');
  return {
    sock: view.getBigUint64(offset, true),
    cookie: view.getBigUint64(offset + 8, true),
    tgid: view.getUint32(offset + 16, true),
    fd: view.getUint32(offset + 20, true),
  };
}

export function writeSockOwner(view: DataView, offset: number, value: SockOwner): void {
  need(view, offset, SOCK_OWNER_SIZE, 'sock_owner');
  view.setBigUint64(offset, value.sock, true);
  view.setBigUint64(offset + 8, value.cookie, true);
  view.setUint32(offset + 16, value.tgid, true);
  view.setUint32(offset + 20, value.fd, true);
}

export function encodeSockOwner(value: SockOwner): Uint8Array {
  const bytes = new Uint8Array(SOCK_OWNER_SIZE);
  writeSockOwner(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeSockOwner(bytes: Uint8Array, offset = 0): SockOwner {
  return readSockOwner(viewOf(bytes), offset);
}

export const SockOwner: StructCodec<SockOwner> = {
  size: SOCK_OWNER_SIZE,
  read: readSockOwner,
  write: writeSockOwner,
  encode: encodeSockOwner,
  decode: decodeSockOwner,
};

/** struct watch_key */
export interface WatchKey {
  readonly tgid: number;
  readonly fd: number;
}

export const WATCH_KEY_SIZE = 8;

export function readWatchKey(view: DataView, offset: number): WatchKey {
  need(view, offset, WATCH_KEY_SIZE, 'watch_key');
  return {
    tgid: view.getUint32(offset, true),
    fd: view.getUint32(offset + 4, true),
  };
}

export function writeWatchKey(view: DataView, offset: number, value: WatchKey): void {
  need(view, offset, WATCH_KEY_SIZE, 'watch_key');
  view.setUint32(offset, value.tgid, true);
  view.setUint32(offset + 4, value.fd, true);
}

export function encodeWatchKey(value: WatchKey): Uint8Array {
  const bytes = new Uint8Array(WATCH_KEY_SIZE);
  writeWatchKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeWatchKey(bytes: Uint8Array, offset = 0): WatchKey {
  return readWatchKey(viewOf(bytes), offset);
}

export const WatchKey: StructCodec<WatchKey> = {
  size: WATCH_KEY_SIZE,
  read: readWatchKey,
  write: writeWatchKey,
  encode: encodeWatchKey,
  decode: decodeWatchKey,
};

/** struct watch_count */
export interface WatchCount {
  readonly splices: bigint;
  readonly reads: bigint;
}

export const WATCH_COUNT_SIZE = 16;

export function readWatchCount(view: DataView, offset: number): WatchCount {
  need(view, offset, WATCH_COUNT_SIZE, 'watch_count');
  return {
    splices: view.getBigUint64(offset, true),
    reads: view.getBigUint64(offset + 8, true),
  };
}

export function writeWatchCount(view: DataView, offset: number, value: WatchCount): void {
  need(view, offset, WATCH_COUNT_SIZE, 'watch_count');
  view.setBigUint64(offset, value.splices, true);
  view.setBigUint64(offset + 8, value.reads, true);
}

export function encodeWatchCount(value: WatchCount): Uint8Array {
  const bytes = new Uint8Array(WATCH_COUNT_SIZE);
  writeWatchCount(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeWatchCount(bytes: Uint8Array, offset = 0): WatchCount {
  return readWatchCount(viewOf(bytes), offset);
}

export const WatchCount: StructCodec<WatchCount> = {
  size: WATCH_COUNT_SIZE,
  read: readWatchCount,
  write: writeWatchCount,
  encode: encodeWatchCount,
  decode: decodeWatchCount,
};

/** struct met_key */
export interface MetKey {
  readonly addr: Uint8Array;
  readonly pod: number;
}

export const MET_KEY_SIZE = 20;

export function readMetKey(view: DataView, offset: number): MetKey {
  need(view, offset, MET_KEY_SIZE, 'met_key');
  return {
    addr: getBytes(view, offset, 16),
    pod: view.getUint32(offset + 16, true),
  };
}

export function writeMetKey(view: DataView, offset: number, value: MetKey): void {
  need(view, offset, MET_KEY_SIZE, 'met_key');
  setBytes(view, offset, 16, value.addr, 'met_key.addr');
  view.setUint32(offset + 16, value.pod, true);
}

export function encodeMetKey(value: MetKey): Uint8Array {
  const bytes = new Uint8Array(MET_KEY_SIZE);
  writeMetKey(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeMetKey(bytes: Uint8Array, offset = 0): MetKey {
  return readMetKey(viewOf(bytes), offset);
}

export const MetKey: StructCodec<MetKey> = {
  size: MET_KEY_SIZE,
  read: readMetKey,
  write: writeMetKey,
  encode: encodeMetKey,
  decode: decodeMetKey,
};

/** struct met_budget */
export interface MetBudget {
  readonly sinceNs: bigint;
  readonly told: bigint;
}

export const MET_BUDGET_SIZE = 16;

export function readMetBudget(view: DataView, offset: number): MetBudget {
  need(view, offset, MET_BUDGET_SIZE, 'met_budget');
  return {
    sinceNs: view.getBigUint64(offset, true),
    told: view.getBigUint64(offset + 8, true),
  };
}

export function writeMetBudget(view: DataView, offset: number, value: MetBudget): void {
  need(view, offset, MET_BUDGET_SIZE, 'met_budget');
  view.setBigUint64(offset, value.sinceNs, true);
  view.setBigUint64(offset + 8, value.told, true);
}

export function encodeMetBudget(value: MetBudget): Uint8Array {
  const bytes = new Uint8Array(MET_BUDGET_SIZE);
  writeMetBudget(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeMetBudget(bytes: Uint8Array, offset = 0): MetBudget {
  return readMetBudget(viewOf(bytes), offset);
}

export const MetBudget: StructCodec<MetBudget> = {
  size: MET_BUDGET_SIZE,
  read: readMetBudget,
  write: writeMetBudget,
  encode: encodeMetBudget,
  decode: decodeMetBudget,
};

/** struct config */
export interface Config {
  readonly epoch: number;
  readonly splice: number;
  readonly capBytes: number;
  readonly resumeBytes: number;
  readonly freeBytes: number;
  readonly nodeLeases: number;
  readonly podLeases: number;
  readonly ownedTcpBytes: number;
  readonly floodRun: number;
  readonly floodMinBytes: number;
  readonly floodBytes: number;
  readonly onDemand: number;
  readonly notsentLowat: number;
  readonly floodStride: number;
  readonly keepaliveS: number;
  readonly detect: number;
}

export const CONFIG_SIZE = 64;

export function readConfig(view: DataView, offset: number): Config {
  need(view, offset, CONFIG_SIZE, 'config');
  return {
    epoch: view.getUint32(offset, true),
    splice: view.getUint32(offset + 4, true),
    capBytes: view.getUint32(offset + 8, true),
    resumeBytes: view.getUint32(offset + 12, true),
    freeBytes: view.getUint32(offset + 16, true),
    nodeLeases: view.getUint32(offset + 20, true),
    podLeases: view.getUint32(offset + 24, true),
    ownedTcpBytes: view.getUint32(offset + 28, true),
    floodRun: view.getUint32(offset + 32, true),
    floodMinBytes: view.getUint32(offset + 36, true),
    floodBytes: view.getUint32(offset + 40, true),
    onDemand: view.getUint32(offset + 44, true),
    notsentLowat: view.getUint32(offset + 48, true),
    floodStride: view.getUint32(offset + 52, true),
    keepaliveS: view.getUint32(offset + 56, true),
    detect: view.getUint32(offset + 60, true),
  };
}

export function writeConfig(view: DataView, offset: number, value: Config): void {
  need(view, offset, CONFIG_SIZE, 'config');
  view.setUint32(offset, value.epoch, true);
  view.setUint32(offset + 4, value.splice, true);
  view.setUint32(offset + 8, value.capBytes, true);
  view.setUint32(offset + 12, value.resumeBytes, true);
  view.setUint32(offset + 16, value.freeBytes, true);
  view.setUint32(offset + 20, value.nodeLeases, true);
  view.setUint32(offset + 24, value.podLeases, true);
  view.setUint32(offset + 28, value.ownedTcpBytes, true);
  view.setUint32(offset + 32, value.floodRun, true);
  view.setUint32(offset + 36, value.floodMinBytes, true);
  view.setUint32(offset + 40, value.floodBytes, true);
  view.setUint32(offset + 44, value.onDemand, true);
  view.setUint32(offset + 48, value.notsentLowat, true);
  view.setUint32(offset + 52, value.floodStride, true);
  view.setUint32(offset + 56, value.keepaliveS, true);
  view.setUint32(offset + 60, value.detect, true);
}

export function encodeConfig(value: Config): Uint8Array {
  const bytes = new Uint8Array(CONFIG_SIZE);
  writeConfig(viewOf(bytes), 0, value);
  return bytes;
}

export function decodeConfig(bytes: Uint8Array, offset = 0): Config {
  return readConfig(viewOf(bytes), offset);
}

export const Config: StructCodec<Config> = {
  size: CONFIG_SIZE,
  read: readConfig,
  write: writeConfig,
  encode: encodeConfig,
  decode: decodeConfig,
};

export interface StructLayout {
  readonly name: string;
  readonly size: number;
  /** name, offset, bytes, type */
  readonly fields: readonly (readonly [string, number, number, string])[];
}

/** What verify.ts compares with the BTF of an object, pads included. */
export const STRUCT_LAYOUTS: readonly StructLayout[] = [
  {
    name: 'flow_key',
    size: 48,
    fields: [
      ['local', 0, 16, 'u8[16]'],
      ['remote', 16, 16, 'u8[16]'],
      ['local_port', 32, 2, 'u16'],
      ['remote_port', 34, 2, 'u16'],
      ['pad', 36, 4, 'u32'],
      ['netns', 40, 8, 'u64'],
    ],
  },
  {
    name: 'ip_key',
    size: 16,
    fields: [
      ['addr', 0, 16, 'u8[16]'],
    ],
  },
  {
    name: 'pod',
    size: 64,
    fields: [
      ['id', 0, 4, 'u32'],
      ['identity', 4, 4, 'u32'],
      ['flags', 8, 4, 'u32'],
      ['workload', 12, 4, 'u32'],
      ['workers', 16, 4, 'u32'],
      ['record_quota', 20, 4, 'u32'],
      ['netns', 24, 8, 'u64'],
      ['addr4', 32, 16, 'u8[16]'],
      ['addr6', 48, 16, 'u8[16]'],
    ],
  },
  {
    name: 'local',
    size: 16,
    fields: [
      ['netns', 0, 8, 'u64'],
      ['pod', 8, 4, 'u32'],
      ['identity', 12, 4, 'u32'],
    ],
  },
  {
    name: 'pod_usage',
    size: 8,
    fields: [
      ['records', 0, 4, 'u32'],
      ['leases', 4, 4, 'u32'],
    ],
  },
  {
    name: 'port_key',
    size: 8,
    fields: [
      ['pod', 0, 4, 'u32'],
      ['port', 4, 4, 'u32'],
    ],
  },
  {
    name: 'listener_key',
    size: 8,
    fields: [
      ['pod', 0, 4, 'u32'],
      ['role', 4, 1, 'u8'],
      ['family', 5, 1, 'u8'],
      ['worker', 6, 2, 'u16'],
    ],
  },
  {
    name: 'service_key',
    size: 20,
    fields: [
      ['addr', 0, 16, 'u8[16]'],
      ['port', 16, 2, 'u16'],
      ['pad', 18, 2, 'u16'],
    ],
  },
  {
    name: 'service',
    size: 32,
    fields: [
      ['id', 0, 4, 'u32'],
      ['generation', 4, 4, 'u32'],
      ['slots', 8, 4, 'u32'],
      ['policy', 12, 4, 'u32'],
      ['cursor_slot', 16, 4, 'u32'],
      ['affinity_s', 20, 4, 'u32'],
      ['max_connections', 24, 4, 'u32'],
      ['limit', 28, 4, 'u32'],
    ],
  },
  {
    name: 'slot_key',
    size: 12,
    fields: [
      ['service', 0, 4, 'u32'],
      ['generation', 4, 4, 'u32'],
      ['slot', 8, 4, 'u32'],
    ],
  },
  {
    name: 'backend',
    size: 24,
    fields: [
      ['addr', 0, 16, 'u8[16]'],
      ['port', 16, 2, 'u16'],
      ['pad', 18, 2, 'u16'],
      ['id', 20, 4, 'u32'],
    ],
  },
  {
    name: 'member_key',
    size: 12,
    fields: [
      ['service', 0, 4, 'u32'],
      ['generation', 4, 4, 'u32'],
      ['backend', 8, 4, 'u32'],
    ],
  },
  {
    name: 'backend_load',
    size: 24,
    fields: [
      ['active', 0, 8, 'u64'],
      ['sampled_ns', 8, 8, 'u64'],
      ['latency_ns', 16, 8, 'u64'],
    ],
  },
  {
    name: 'affinity_key',
    size: 16,
    fields: [
      ['netns', 0, 8, 'u64'],
      ['service', 8, 4, 'u32'],
      ['pad', 12, 4, 'u32'],
    ],
  },
  {
    name: 'affinity',
    size: 16,
    fields: [
      ['used_ns', 0, 8, 'u64'],
      ['backend', 8, 4, 'u32'],
      ['pad', 12, 4, 'u32'],
    ],
  },
  {
    name: 'policy_key',
    size: 8,
    fields: [
      ['identity', 0, 4, 'u32'],
      ['port', 4, 4, 'u32'],
    ],
  },
  {
    name: 'policy_verdict',
    size: 16,
    fields: [
      ['verdict', 0, 4, 'u32'],
      ['policy', 4, 4, 'u32'],
      ['cidr_table', 8, 4, 'u32'],
      ['pad', 12, 4, 'u32'],
    ],
  },
  {
    name: 'cidr_key',
    size: 24,
    fields: [
      ['prefixlen', 0, 4, 'u32'],
      ['table', 4, 4, 'u32'],
      ['addr', 8, 16, 'u8[16]'],
    ],
  },
  {
    name: 'pair_key',
    size: 16,
    fields: [
      ['prefixlen', 0, 4, 'u32'],
      ['source', 4, 4, 'u32'],
      ['destination', 8, 4, 'u32'],
      ['port', 12, 2, 'u8[2]'],
      ['pad', 14, 2, 'u16'],
    ],
  },
  {
    name: 'trust_key',
    size: 24,
    fields: [
      ['inode', 0, 8, 'u64'],
      ['device', 8, 4, 'u32'],
      ['workload', 12, 4, 'u32'],
      ['argv', 16, 8, 'u64'],
    ],
  },
  {
    name: 'trust',
    size: 32,
    fields: [
      ['state', 0, 4, 'u32'],
      ['reason', 4, 4, 'u32'],
      ['flags', 8, 4, 'u32'],
      ['connections', 12, 4, 'u32'],
      ['quiet', 16, 4, 'u32'],
      ['tgid', 20, 4, 'u32'],
      ['first_ns', 24, 8, 'u64'],
    ],
  },
  {
    name: 'observed_key',
    size: 32,
    fields: [
      ['inode', 0, 8, 'u64'],
      ['netns', 8, 8, 'u64'],
      ['argv', 16, 8, 'u64'],
      ['device', 24, 4, 'u32'],
      ['pad', 28, 4, 'u32'],
    ],
  },
  {
    name: 'live_conn',
    size: 40,
    fields: [
      ['trust', 0, 24, 'struct trust_key'],
      ['cookie', 24, 8, 'u64'],
      ['received', 32, 8, 'u64'],
    ],
  },
  {
    name: 'behaviours',
    size: 72,
    fields: [
      ['count', 0, 64, 'u64[8]'],
      ['tgid', 64, 4, 'u32'],
      ['pad', 68, 4, 'u32'],
    ],
  },
  {
    name: 'listening_key',
    size: 16,
    fields: [
      ['netns', 0, 8, 'u64'],
      ['port', 8, 4, 'u32'],
      ['pad', 12, 4, 'u32'],
    ],
  },
  {
    name: 'flood_key',
    size: 32,
    fields: [
      ['client', 0, 24, 'struct trust_key'],
      ['pod', 24, 4, 'u32'],
      ['port', 28, 4, 'u32'],
    ],
  },
  {
    name: 'record',
    size: 240,
    fields: [
      ['version', 0, 4, 'u32'],
      ['flags', 4, 4, 'u32'],
      ['netns', 8, 8, 'u64'],
      ['cookie', 16, 8, 'u64'],
      ['pod', 24, 4, 'u32'],
      ['identity', 28, 4, 'u32'],
      ['epoch', 32, 4, 'u32'],
      ['tgid', 36, 4, 'u32'],
      ['born_ns', 40, 8, 'u64'],
      ['client_trust', 48, 24, 'struct trust_key'],
      ['dialled', 72, 16, 'u8[16]'],
      ['target', 88, 16, 'u8[16]'],
      ['client', 104, 16, 'u8[16]'],
      ['dialled_port', 120, 2, 'u16'],
      ['target_port', 122, 2, 'u16'],
      ['client_port', 124, 2, 'u16'],
      ['pad', 126, 2, 'u16'],
      ['service', 128, 4, 'u32'],
      ['backend', 132, 4, 'u32'],
      ['pair', 136, 4, 'u32'],
      ['reason', 140, 4, 'u32'],
      ['ends', 144, 4, 'u32'],
      ['turn', 148, 4, 'u32'],
      ['charged', 152, 4, 'u32'],
      ['destination_pod', 156, 4, 'u32'],
      ['destination_identity', 160, 4, 'u32'],
      ['pad2', 164, 4, 'u32'],
      ['client_sock', 168, 8, 'u64'],
      ['server_sock', 176, 8, 'u64'],
      ['server_cookie', 184, 8, 'u64'],
      ['client_sent', 192, 8, 'u64'],
      ['client_received', 200, 8, 'u64'],
      ['server_sent', 208, 8, 'u64'],
      ['server_received', 216, 8, 'u64'],
      ['client_redirected', 224, 8, 'u64'],
      ['server_redirected', 232, 8, 'u64'],
    ],
  },
  {
    name: 'intent',
    size: 52,
    fields: [
      ['dialled', 0, 16, 'u8[16]'],
      ['target', 16, 16, 'u8[16]'],
      ['dialled_port', 32, 2, 'u16'],
      ['target_port', 34, 2, 'u16'],
      ['service', 36, 4, 'u32'],
      ['backend', 40, 4, 'u32'],
      ['limit', 44, 4, 'u32'],
      ['flags', 48, 4, 'u32'],
    ],
  },
  {
    name: 'agent_sock',
    size: 32,
    fields: [
      ['flags', 0, 4, 'u32'],
      ['identity', 4, 4, 'u32'],
      ['client', 8, 16, 'u8[16]'],
      ['client_port', 24, 2, 'u16'],
      ['pad', 26, 2, 'u16'],
      ['pod', 28, 4, 'u32'],
    ],
  },
  {
    name: 'tunnel',
    size: 4,
    fields: [
      ['flags', 0, 4, 'u32'],
    ],
  },
  {
    name: 'peer_view',
    size: 20,
    fields: [
      ['addr', 0, 16, 'u8[16]'],
      ['port', 16, 2, 'u16'],
      ['pad', 18, 2, 'u16'],
    ],
  },
  {
    name: 'conn',
    size: 232,
    fields: [
      ['peer', 0, 48, 'struct flow_key'],
      ['peer_sock', 48, 8, 'u64'],
      ['peer_cookie', 56, 8, 'u64'],
      ['cookie', 64, 8, 'u64'],
      ['netns', 72, 8, 'u64'],
      ['born_ns', 80, 8, 'u64'],
      ['trust', 88, 24, 'struct trust_key'],
      ['flags', 112, 4, 'u32'],
      ['leg', 116, 4, 'u32'],
      ['source_identity', 120, 4, 'u32'],
      ['destination_identity', 124, 4, 'u32'],
      ['source_pod', 128, 4, 'u32'],
      ['destination_pod', 132, 4, 'u32'],
      ['reason', 136, 4, 'u32'],
      ['service', 140, 4, 'u32'],
      ['turn', 144, 4, 'u32'],
      ['run', 148, 4, 'u32'],
      ['messages', 152, 4, 'u32'],
      ['mark_messages', 156, 4, 'u32'],
      ['mark', 160, 8, 'u64'],
      ['flood_bytes', 168, 8, 'u64'],
      ['redirected_bytes', 176, 8, 'u64'],
      ['redirected_messages', 184, 8, 'u64'],
      ['tcp_messages', 192, 8, 'u64'],
      ['dialled', 200, 16, 'u8[16]'],
      ['dialled_port', 216, 2, 'u16'],
      ['pad', 218, 2, 'u16'],
      ['epoch', 220, 4, 'u32'],
      ['lease', 224, 4, 'u32'],
      ['policy', 228, 4, 'u32'],
    ],
  },
  {
    name: 'conn_view',
    size: 224,
    fields: [
      ['version', 0, 4, 'u32'],
      ['size', 4, 4, 'u32'],
      ['key', 8, 48, 'struct flow_key'],
      ['cookie', 56, 8, 'u64'],
      ['netns', 64, 8, 'u64'],
      ['peer_cookie', 72, 8, 'u64'],
      ['born_ns', 80, 8, 'u64'],
      ['sent', 88, 8, 'u64'],
      ['received', 96, 8, 'u64'],
      ['redirected_bytes', 104, 8, 'u64'],
      ['redirected_messages', 112, 8, 'u64'],
      ['tcp_messages', 120, 8, 'u64'],
      ['flags', 128, 4, 'u32'],
      ['state', 132, 4, 'u32'],
      ['source_identity', 136, 4, 'u32'],
      ['destination_identity', 140, 4, 'u32'],
      ['source_pod', 144, 4, 'u32'],
      ['destination_pod', 148, 4, 'u32'],
      ['reason', 152, 4, 'u32'],
      ['service', 156, 4, 'u32'],
      ['trust', 160, 24, 'struct trust_key'],
      ['dialled', 184, 16, 'u8[16]'],
      ['dialled_port', 200, 2, 'u16'],
      ['client_port', 202, 2, 'u16'],
      ['srtt_us', 204, 4, 'u32'],
      ['client', 208, 16, 'u8[16]'],
    ],
  },
  {
    name: 'flow_event',
    size: 184,
    fields: [
      ['type', 0, 4, 'u32'],
      ['reason', 4, 4, 'u32'],
      ['key', 8, 48, 'struct flow_key'],
      ['born_ns', 56, 8, 'u64'],
      ['ended_ns', 64, 8, 'u64'],
      ['cookie', 72, 8, 'u64'],
      ['server_cookie', 80, 8, 'u64'],
      ['client_sent', 88, 8, 'u64'],
      ['server_sent', 96, 8, 'u64'],
      ['redirected_bytes', 104, 8, 'u64'],
      ['flags', 112, 4, 'u32'],
      ['path', 116, 4, 'u32'],
      ['source_identity', 120, 4, 'u32'],
      ['destination_identity', 124, 4, 'u32'],
      ['source_pod', 128, 4, 'u32'],
      ['destination_pod', 132, 4, 'u32'],
      ['service', 136, 4, 'u32'],
      ['policy', 140, 4, 'u32'],
      ['dialled', 144, 16, 'u8[16]'],
      ['dialled_port', 160, 2, 'u16'],
      ['client_port', 162, 2, 'u16'],
      ['ends', 164, 4, 'u32'],
      ['client', 168, 16, 'u8[16]'],
    ],
  },
  {
    name: 'trust_event',
    size: 40,
    fields: [
      ['type', 0, 4, 'u32'],
      ['pad', 4, 4, 'u32'],
      ['key', 8, 24, 'struct trust_key'],
      ['tgid', 32, 4, 'u32'],
      ['pod', 36, 4, 'u32'],
    ],
  },
  {
    name: 'stall',
    size: 64,
    fields: [
      ['sock', 0, 8, 'u64'],
      ['cookie', 8, 8, 'u64'],
      ['head', 16, 8, 'u64'],
      ['netns', 24, 8, 'u64'],
      ['unread', 32, 4, 'u32'],
      ['head_bytes', 36, 4, 'u32'],
      ['trust', 40, 24, 'struct trust_key'],
    ],
  },
  {
    name: 'adopted',
    size: 40,
    fields: [
      ['key', 0, 24, 'struct trust_key'],
      ['netns', 24, 8, 'u64'],
      ['tgid', 32, 4, 'u32'],
      ['port', 36, 4, 'u32'],
    ],
  },
  {
    name: 'sock_owner',
    size: 24,
    fields: [
      ['sock', 0, 8, 'u64'],
      ['cookie', 8, 8, 'u64'],
      ['tgid', 16, 4, 'u32'],
      ['fd', 20, 4, 'u32'],
    ],
  },
  {
    name: 'watch_key',
    size: 8,
    fields: [
      ['tgid', 0, 4, 'u32'],
      ['fd', 4, 4, 'u32'],
    ],
  },
  {
    name: 'watch_count',
    size: 16,
    fields: [
      ['splices', 0, 8, 'u64'],
      ['reads', 8, 8, 'u64'],
    ],
  },
  {
    name: 'met_key',
    size: 20,
    fields: [
      ['addr', 0, 16, 'u8[16]'],
      ['pod', 16, 4, 'u32'],
    ],
  },
  {
    name: 'met_budget',
    size: 16,
    fields: [
      ['since_ns', 0, 8, 'u64'],
      ['told', 8, 8, 'u64'],
    ],
  },
  {
    name: 'config',
    size: 64,
    fields: [
      ['epoch', 0, 4, 'u32'],
      ['splice', 4, 4, 'u32'],
      ['cap_bytes', 8, 4, 'u32'],
      ['resume_bytes', 12, 4, 'u32'],
      ['free_bytes', 16, 4, 'u32'],
      ['node_leases', 20, 4, 'u32'],
      ['pod_leases', 24, 4, 'u32'],
      ['owned_tcp_bytes', 28, 4, 'u32'],
      ['flood_run', 32, 4, 'u32'],
      ['flood_min_bytes', 36, 4, 'u32'],
      ['flood_bytes', 40, 4, 'u32'],
      ['on_demand', 44, 4, 'u32'],
      ['notsent_lowat', 48, 4, 'u32'],
      ['flood_stride', 52, 4, 'u32'],
      ['keepalive_s', 56, 4, 'u32'],
      ['detect', 60, 4, 'u32'],
    ],
  },
];
