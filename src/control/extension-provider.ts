/**
 * meshConfig.extensionProviders: services outside the mesh's own configuration that policies and Telemetry name.
 */
import type { ExtAuthz } from '../model/http-filter.ts';
import type { AccessLog } from '../model/listener.ts';
import type { StringMatcher } from '../model/matcher.ts';
import { describe, Fields, type Report } from './validate/fields.ts';
import { parseDuration } from './validate/duration.ts';

/** Where it runs. */
export interface ExtensionService {
  readonly host: string;
  /** that has the Service; "": whoever has the host */
  readonly namespace: string;
  readonly port: number;
}

export type ExtAuthzProvider = Omit<ExtAuthz, 'service' | 'when'> & {
  readonly type: 'ext-authz';
  readonly name: string;
  readonly at: ExtensionService;
  /** without the cluster, which is made for it */
  readonly service:
    | Omit<Extract<ExtAuthz['service'], { readonly type: 'grpc' }>, 'cluster'>
    | Omit<Extract<ExtAuthz['service'], { readonly type: 'http' }>, 'cluster'>;
};

export type ExtensionProvider =
  | ExtAuthzProvider
  | { readonly type: 'access-log'; readonly name: string; readonly log: AccessLog }
  | { readonly type: 'tracing'; readonly name: string }
  /** it exists, and nobody here can use it */
  | { readonly type: 'unusable'; readonly name: string };

/** Istio's */
const TIMEOUT_MS = 600_000;
const ERROR_STATUS = 403;
const DEFAULT_LOG_PATH = '/dev/stdout';
const TRACERS = ['zipkin', 'opentelemetry', 'datadog', 'skywalking', 'lightstep', 'opencensus'];
const COMMON = [
  'service',
  'port',
  'timeout',
  'failOpen',
  'statusOnError',
  'includeRequestBodyInCheck',
];
const HTTP_ONLY = [
  'pathPrefix',
  'includeHeadersInCheck',
  'includeRequestHeadersInCheck',
  'headersToUpstreamOnAllow',
  'headersToDownstreamOnDeny',
];

/** undefined: it has no name, so that nobody can use it */
export function readExtensionProvider(
  fields: Fields,
  outer: Report,
): ExtensionProvider | undefined {
  const name = fields.required('name');
  if (name === undefined) return undefined;
  const [kind = '', ...more] = fields.keys().filter((key) => key !== 'name');
  if (kind === '' || more.length > 0) {
    fields.invalid('name', `${describe(name)} has ${more.length + 1} types`, 'set exactly one');
    return { type: 'unusable', name };
  }
  let isUsable = true;
  const body = Fields.of(fields.raw(kind) ?? {}, fields.at(kind), (problem) => {
    if (problem.severity !== 'warning') isUsable = false;
    outer(problem);
  });
  const provider = body && readKind(kind, name, body);
  if (provider === undefined) {
    fields.report({
      code: 'NOT_SUPPORTED',
      severity: 'warning',
      key: kind,
      message: 'providers of this type are not supported: what names it is refused or left out',
      fix: 'use envoyExtAuthzGrpc, envoyExtAuthzHttp, envoyFileAccessLog, zipkin or opentelemetry',
    });
  }
  return provider !== undefined && isUsable ? provider : { type: 'unusable', name };
}

function readKind(kind: string, name: string, body: Fields): ExtensionProvider | undefined {
  switch (kind) {
    case 'envoyExtAuthzGrpc':
      body.only(COMMON);
      return readExtAuthz(name, body, { type: 'grpc', timeoutMs: readTimeout(body) });
    case 'envoyExtAuthzHttp':
      body.only([...COMMON, ...HTTP_ONLY]);
      return readExtAuthz(name, body, {
        type: 'http',
        timeoutMs: readTimeout(body),
        pathPrefix: body.string('pathPrefix') ?? '',
        requestHeaders: ['includeRequestHeadersInCheck', 'includeHeadersInCheck'].flatMap((key) =>
          readHeaders(body, key),
        ),
        upstreamHeaders: readHeaders(body, 'headersToUpstreamOnAllow'),
        clientHeaders: readHeaders(body, 'headersToDownstreamOnDeny'),
      });
    case 'envoyFileAccessLog':
      body.only(['path', 'logFormat']);
      return { type: 'access-log', name, log: readLog(body) };
    default:
      return TRACERS.includes(kind) ? { type: 'tracing', name } : undefined;
  }
}

function readExtAuthz(
  name: string,
  body: Fields,
  service: ExtAuthzProvider['service'],
): ExtensionProvider {
  const [host = '', namespace = ''] = (body.required('service') ?? '').split('/').reverse();
  const check = body.mapping('includeRequestBodyInCheck');
  check.only(['maxRequestBytes', 'allowPartialMessage']);
  const bytes = check.raw('maxRequestBytes') ?? 0;
  if (typeof bytes !== 'number' || !Number.isInteger(bytes) || bytes < 0) {
    check.invalid('maxRequestBytes', `is ${describe(bytes)}, not a size`, 'use a number of bytes');
  } else if (bytes === 0 && body.has('includeRequestBodyInCheck')) {
    check.missing('maxRequestBytes');
  }
  return {
    type: 'ext-authz',
    name,
    at: { host, namespace, port: body.port('port') ?? 0 },
    service,
    failOpen: body.boolean('failOpen'),
    errorStatus: readStatus(body),
    bodyBytes: Number(bytes),
    allowPartialBody: check.boolean('allowPartialMessage'),
  };
}

function readTimeout(body: Fields): number {
  const text = body.string('timeout');
  const timeoutMs = text === undefined ? TIMEOUT_MS : parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs >= 1) return timeoutMs;
  body.invalid('timeout', `${describe(text)} is no time to wait`, 'write 500ms or more than 1ms');
  return TIMEOUT_MS;
}

function readStatus(body: Fields): number {
  const value = body.raw('statusOnError') ?? ERROR_STATUS;
  const status = Number(value);
  if (Number.isInteger(status) && status >= 200 && status < 600) return status;
  body.invalid('statusOnError', `${describe(value)} is no status`, 'use a status of HTTP: "503"');
  return ERROR_STATUS;
}

function readHeaders(body: Fields, key: string): StringMatcher[] {
  return body.strings(key).map((text): StringMatcher => {
    const common = { ignoreCase: true };
    if (text === '*') return { type: 'prefix', value: '', ...common };
    if (text.startsWith('*')) return { type: 'suffix', value: text.slice(1), ...common };
    if (text.endsWith('*')) return { type: 'prefix', value: text.slice(0, -1), ...common };
    return { type: 'exact', value: text, ...common };
  });
}

function readLog(body: Fields): AccessLog {
  const path = body.string('path') ?? DEFAULT_LOG_PATH;
  const format = body.mapping('logFormat');
  format.only(['text', 'labels']);
  if (format.has('labels')) {
    return { path, format: { type: 'json', fields: format.stringMap('labels') } };
  }
  const text = format.string('text');
  return { path, format: text === undefined ? undefined : { type: 'text', format: text } };
}
