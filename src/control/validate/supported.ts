/**
 * What podwire honours of each kind: one table for validation, which reports the rest, and for the translation, which reads
 * what stands here.  A field that is set and not listed (nor below a listed one) is NOT_SUPPORTED.
 *
 * "[]": any item of a list.  A mapping with keys of the user's own is listed as a whole.
 */
const ANY_POLICY = [
  'loadBalancer.simple',
  'loadBalancer.consistentHash',
  'loadBalancer.localityLbSetting',
  'loadBalancer.warmup.duration',
  'loadBalancer.warmupDurationSecs',
  'connectionPool',
  'outlierDetection',
  'proxyProtocol',
  'tls.mode',
  'tls.clientCertificate',
  'tls.privateKey',
  'tls.caCertificates',
  'tls.credentialName',
  'tls.subjectAltNames',
  'tls.sni',
  'tls.insecureSkipVerify',
] as const;
const TRAFFIC_POLICY = [
  ...ANY_POLICY,
  'portLevelSettings[].port',
  ...ANY_POLICY.map((field) => `portLevelSettings[].${field}`),
];
const API_FILTERS = [
  'type',
  'requestHeaderModifier',
  'responseHeaderModifier',
  'requestMirror',
  'requestRedirect',
  'urlRewrite',
  'cors',
  // What is wrong with one of these the translation says, field by field.
  'extensionRef',
];
const API_RULE = [
  'name',
  'matches',
  'sessionPersistence',
  ...API_FILTERS.map((field) => `filters[].${field}`),
  ...['group', 'kind', 'name', 'namespace', 'port', 'weight'].map(
    (name) => `backendRefs[].${name}`,
  ),
  ...API_FILTERS.map((field) => `backendRefs[].filters[].${field}`),
];

export const SUPPORTED = {
  VirtualService: [
    'hosts',
    'gateways',
    'exportTo',
    'http[].name',
    ...[
      'name',
      'uri',
      'scheme',
      'method',
      'authority',
      'headers',
      'withoutHeaders',
      'queryParams',
      'port',
      'sourceLabels',
      'sourceNamespace',
      'gateways',
      'ignoreUriCase',
    ].map((field) => `http[].match[].${field}`),
    'http[].route',
    'http[].redirect',
    'http[].directResponse',
    'http[].delegate',
    'http[].rewrite',
    'http[].timeout',
    'http[].retries',
    'http[].fault.delay.fixedDelay',
    'http[].fault.delay.percentage',
    'http[].fault.delay.percent',
    'http[].fault.abort.httpStatus',
    'http[].fault.abort.grpcStatus',
    'http[].fault.abort.percentage',
    'http[].mirror',
    'http[].mirrorPercentage',
    'http[].mirrorPercent',
    'http[].mirror_percent',
    'http[].mirrors',
    'http[].corsPolicy',
    'http[].headers',
    'tls',
    'tcp',
  ],
  DestinationRule: [
    'host',
    'exportTo',
    'workloadSelector',
    'subsets[].name',
    'subsets[].labels',
    ...TRAFFIC_POLICY.map((field) => `subsets[].trafficPolicy.${field}`),
    ...TRAFFIC_POLICY.map((field) => `trafficPolicy.${field}`),
  ],
  Gateway: [
    'selector',
    'servers[].name',
    'servers[].port.number',
    'servers[].port.name',
    'servers[].port.protocol',
    'servers[].hosts',
    'servers[].tls.httpsRedirect',
    'servers[].tls.mode',
    'servers[].tls.credentialName',
    'servers[].tls.subjectAltNames',
    'servers[].tls.minProtocolVersion',
    'servers[].tls.maxProtocolVersion',
    'servers[].tls.cipherSuites',
  ],
  ServiceEntry: [
    'hosts',
    'addresses',
    'ports',
    'location',
    'resolution',
    'endpoints',
    'workloadSelector',
    'exportTo',
    'subjectAltNames',
  ],
  WorkloadEntry: ['address', 'ports', 'labels', 'network', 'locality', 'weight', 'serviceAccount'],
  WorkloadGroup: [],
  Sidecar: ['workloadSelector', 'egress[].hosts', 'egress[].port', 'outboundTrafficPolicy.mode'],
  PeerAuthentication: ['selector', 'mtls', 'portLevelMtls'],
  RequestAuthentication: ['selector', 'targetRef', 'targetRefs', 'jwtRules'],
  Telemetry: [
    'selector',
    'tracing[].match',
    'tracing[].providers',
    'tracing[].randomSamplingPercentage',
    'tracing[].disableSpanReporting',
    'tracing[].customTags',
    'metrics[].providers',
    'metrics[].overrides',
    'accessLogging[].match',
    'accessLogging[].providers',
    'accessLogging[].disabled',
  ],
  GatewayClass: ['controllerName', 'description'],
  GatewayApiGateway: [
    'gatewayClassName',
    'addresses',
    'infrastructure.labels',
    'infrastructure.annotations',
    'listeners[].name',
    'listeners[].hostname',
    'listeners[].port',
    'listeners[].protocol',
    'listeners[].tls.mode',
    'listeners[].tls.certificateRefs',
    'listeners[].tls.frontendValidation',
    'listeners[].tls.options',
    'listeners[].allowedRoutes',
  ],
  HTTPRoute: [
    'parentRefs',
    'hostnames',
    ...API_RULE.map((field) => `rules[].${field}`),
    'rules[].timeouts',
    'rules[].retry',
  ],
  GRPCRoute: ['parentRefs', 'hostnames', ...API_RULE.map((field) => `rules[].${field}`)],
  TCPRoute: ['parentRefs', 'rules'],
  TLSRoute: ['parentRefs', 'hostnames', 'rules'],
  ReferenceGrant: ['from', 'to'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type CustomKind = keyof typeof SUPPORTED;

/** listed fields, and everything that leads to one */
const tables = new Map<
  CustomKind,
  { readonly fields: Set<string>; readonly parents: Set<string> }
>();

/** Paths ("spec.http[0].fault.abort.http2Error") of what is set and not honoured. */
export function unsupportedFields(kind: CustomKind, spec: object): string[] {
  const found: string[] = [];
  walk(tableOf(kind), spec, '', 'spec', found);
  return found;
}

function walk(
  table: ReturnType<typeof tableOf>,
  value: object,
  pattern: string,
  path: string,
  found: string[],
): void {
  for (const [key, item] of Object.entries(value)) {
    const field = pattern === '' ? key : `${pattern}.${key}`;
    const at = `${path}.${key}`;
    if (table.fields.has(field)) continue;
    const isParent = table.parents.has(field);
    if (Array.isArray(item) && isParent) {
      item.forEach((entry: unknown, index) => {
        if (typeof entry === 'object' && entry !== null) {
          walk(table, entry, `${field}[]`, `${at}[${index}]`, found);
        }
      });
    } else if (typeof item === 'object' && item !== null && isParent) {
      walk(table, item as object, field, at, found);
    } else {
      found.push(at);
    }
  }
}

function tableOf(kind: CustomKind): { fields: ReadonlySet<string>; parents: ReadonlySet<string> } {
  let table = tables.get(kind);
  if (table === undefined) {
    table = { fields: new Set<string>(SUPPORTED[kind]), parents: new Set<string>() };
    for (const field of SUPPORTED[kind] as readonly string[]) {
      const steps = field.split('.');
      for (let length = 1; length < steps.length; length++) {
        table.parents.add(steps.slice(0, length).join('.').replace(/\[\]$/, ''));
      }
    }
    tables.set(kind, table);
  }
  return table;
}
