/**
 * envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager ↔ HttpConnectionManager, with Envoy's
 * defaults filled in.
 */
import { IDLE_TIMEOUT_MS, MAX_REQUEST_HEADERS_KB } from '../../model/envoy-defaults.ts';
import type { AccessLog, HttpConnectionManager } from '../../model/listener.ts';
import type {
  EnvoyCodecs,
  WireAccessLog,
  WireHttpConnectionManager,
  WireHttpConnectionManagerInput,
  WireStruct,
  WireSubstitutionFormatString,
} from '../codec-envoy.ts';
import { filtersFromWire, filtersToWire } from './http-filters.ts';
import { pack, unpack, type Reading } from './reading.ts';
import { routeConfigurationFromWire, routeConfigurationToWire } from './route.ts';
import {
  ALL_MILLIONTHS,
  dataFromWire,
  durationFromWire,
  durationToWire,
  FROM_ADS,
  percentFromWire,
  percentToWire,
} from './scalars.ts';

const DEFAULT_STREAM_IDLE_TIMEOUT_MS = 300_000;
const FILE_LOGGER = 'envoy.access_loggers.file';

const CODECS = { auto: 'AUTO', http1: 'HTTP1', http2: 'HTTP2' } as const;
const ESCAPED_SLASHES = {
  keep: 'KEEP_UNCHANGED',
  reject: 'REJECT_REQUEST',
  'unescape-redirect': 'UNESCAPE_AND_REDIRECT',
  'unescape-forward': 'UNESCAPE_AND_FORWARD',
} as const;
const CLIENT_CERTIFICATE = {
  sanitize: 'SANITIZE',
  'forward-only': 'FORWARD_ONLY',
  'append-forward': 'APPEND_FORWARD',
  'sanitize-set': 'SANITIZE_SET',
  'always-forward-only': 'ALWAYS_FORWARD_ONLY',
} as const;

export function managerToWire(
  codec: EnvoyCodecs,
  manager: HttpConnectionManager,
): WireHttpConnectionManagerInput {
  const { routes, maxRequestHeadersKb, tracing, clientCertificate } = manager;
  return {
    codec_type: CODECS[manager.codec],
    stat_prefix: manager.statPrefix,
    ...(routes.type === 'rds'
      ? { rds: { config_source: FROM_ADS, route_config_name: routes.name } }
      : { route_config: routeConfigurationToWire(codec, routes.config) }),
    http_filters: filtersToWire(codec, manager.filters),
    server_name: manager.serverName,
    common_http_protocol_options: { idle_timeout: durationToWire(manager.idleTimeoutMs) },
    http_protocol_options: manager.acceptHttp10 ? { accept_http_10: true } : null,
    stream_idle_timeout: durationToWire(manager.streamIdleTimeoutMs),
    request_timeout: durationToWire(manager.requestTimeoutMs),
    max_request_headers_kb:
      maxRequestHeadersKb === undefined ? null : { value: maxRequestHeadersKb },
    // Envoy's HTTP/2 takes CONNECT only when told so.
    http2_protocol_options: manager.upgrades.includes('CONNECT') ? { allow_connect: true } : null,
    upgrade_configs: manager.upgrades.map((upgrade_type) => ({ upgrade_type })),
    normalize_path: { value: manager.normalizePath },
    merge_slashes: manager.mergeSlashes,
    path_with_escaped_slashes_action: ESCAPED_SLASHES[manager.escapedSlashes],
    use_remote_address: { value: manager.useRemoteAddress },
    xff_num_trusted_hops: manager.trustedHops,
    forward_client_cert_details: CLIENT_CERTIFICATE[clientCertificate],
    set_current_client_cert_details: ['append-forward', 'sanitize-set'].includes(clientCertificate)
      ? { subject: { value: true }, uri: true }
      : null,
    tracing: tracing ? { random_sampling: percentToWire(tracing.sampling) } : null,
    access_log: manager.accessLog.map((log) => accessLogToWire(codec, log)),
  };
}

export function managerFromWire(
  wire: WireHttpConnectionManager,
  path: string,
  reading: Reading,
): HttpConnectionManager {
  const { error } = reading;
  const oneOf = <T extends string>(
    names: Readonly<Record<T, string>>,
    value: string,
    field: string,
    absent: T,
  ): T => {
    const found = (Object.keys(names) as T[]).find((name) => names[name] === value);
    if (found === undefined) error(`${path}.${field}`, `${String(value)} is not supported`);
    return found ?? absent;
  };
  const slashes = wire.path_with_escaped_slashes_action;
  return {
    codec: oneOf(CODECS, wire.codec_type, 'codec_type', 'auto'),
    routes: routesFromWire(wire, path, reading),
    filters: filtersFromWire(wire.http_filters, `${path}.http_filters`, reading),
    statPrefix: wire.stat_prefix,
    serverName: wire.server_name,
    idleTimeoutMs:
      durationFromWire(wire.common_http_protocol_options?.idle_timeout ?? null) ?? IDLE_TIMEOUT_MS,
    streamIdleTimeoutMs:
      durationFromWire(wire.stream_idle_timeout) ?? DEFAULT_STREAM_IDLE_TIMEOUT_MS,
    requestTimeoutMs: durationFromWire(wire.request_timeout),
    maxRequestHeadersKb: wire.max_request_headers_kb?.value ?? MAX_REQUEST_HEADERS_KB,
    upgrades: wire.upgrade_configs
      .filter(({ enabled }) => enabled?.value !== false)
      .map(({ upgrade_type }) => upgrade_type),
    acceptHttp10: wire.http_protocol_options?.accept_http_10 === true,
    normalizePath: wire.normalize_path?.value === true,
    mergeSlashes: wire.merge_slashes,
    escapedSlashes:
      slashes === 'IMPLEMENTATION_SPECIFIC_DEFAULT'
        ? 'keep'
        : oneOf(ESCAPED_SLASHES, slashes, 'path_with_escaped_slashes_action', 'reject'),
    useRemoteAddress: wire.use_remote_address?.value === true,
    trustedHops: wire.xff_num_trusted_hops,
    clientCertificate: oneOf(
      CLIENT_CERTIFICATE,
      wire.forward_client_cert_details,
      'forward_client_cert_details',
      'sanitize',
    ),
    tracing: wire.tracing
      ? {
          sampling: wire.tracing.random_sampling
            ? percentFromWire(wire.tracing.random_sampling)
            : ALL_MILLIONTHS,
        }
      : undefined,
    accessLog: wire.access_log.flatMap((log, index) =>
      accessLogFromWire(log, `${path}.access_log[${index}]`, reading),
    ),
  };
}

function routesFromWire(
  wire: WireHttpConnectionManager,
  path: string,
  reading: Reading,
): HttpConnectionManager['routes'] {
  if (wire.route_config) {
    const config = routeConfigurationFromWire(wire.route_config, `${path}.route_config.`, reading);
    return { type: 'inline', config };
  }
  const name = wire.rds?.route_config_name ?? '';
  if (name === '') reading.error(`${path}.route_specifier`, 'names no routes');
  return { type: 'rds', name };
}

function accessLogToWire(codec: EnvoyCodecs, { path, format }: AccessLog) {
  const log_format =
    format?.type === 'text'
      ? { text_format_source: { inline_string: format.format } }
      : format && { json_format: structOf(format.fields) };
  const file = { path, ...(log_format ? { log_format } : {}) };
  return { name: FILE_LOGGER, typed_config: pack(codec.fileAccessLog, file) };
}

function structOf(fields: ReadonlyMap<string, string>) {
  return {
    fields: Object.fromEntries([...fields].map(([key, value]) => [key, { stringValue: value }])),
  };
}

function accessLogFromWire(wire: WireAccessLog, path: string, reading: Reading): AccessLog[] {
  const file = unpack(wire.typed_config, reading.codec.fileAccessLog);
  if (!file) {
    reading.warn(`${path} (${wire.typed_config?.type_url ?? wire.name})`);
    return [];
  }
  const at = `${path}.typed_config.log_format`;
  return [{ path: file.path, format: formatFromWire(file.log_format ?? null, at, reading) }];
}

/** undefined: Envoy's default text */
function formatFromWire(
  wire: WireSubstitutionFormatString | null,
  path: string,
  reading: Reading,
): AccessLog['format'] {
  if (wire?.json_format) return { type: 'json', fields: fieldsOf(wire.json_format, path, reading) };
  const text =
    wire?.text_format ?? dataFromWire(wire?.text_format_source ?? null)?.toString('utf8');
  if (wire && text === undefined) reading.warn(path);
  return text === undefined ? undefined : { type: 'text', format: text };
}

function fieldsOf(struct: WireStruct, path: string, { warn }: Reading): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [key, { stringValue }] of Object.entries(struct.fields)) {
    if (stringValue === undefined) warn(`${path}.json_format["${key}"]`);
    else fields.set(key, stringValue);
  }
  return fields;
}
