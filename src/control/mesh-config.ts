/**
 * Istio's MeshConfig, as much of it as podwire honours: from the key `mesh` of the ConfigMap `istio`, or from a file with
 * either of the two.
 */
import { parse } from 'yaml';
import type { Finding } from '../model/finding.ts';
import type { AccessLog } from '../model/listener.ts';
import { readExtensionProvider, type ExtensionProvider } from './extension-provider.ts';
import { describe, Fields, type Problem, type Report } from './validate/fields.ts';

export type PathNormalization =
  'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES' | 'DEFAULT';

export interface MeshConfig {
  /** by name */
  readonly providers: ReadonlyMap<string, ExtensionProvider>;
  /** accessLogFile: where everything is logged that no Telemetry speaks of */
  readonly accessLog: AccessLog | undefined;
  /** defaultProviders: names, for what no Telemetry speaks of */
  readonly defaultProviders: {
    readonly accessLogging: readonly string[];
    readonly tracing: readonly string[];
  };
  /** enableTracing */
  readonly tracing: boolean;
  /** percent */
  readonly tracingSampling: number;
  readonly pathNormalization: PathNormalization;
}

/** Istio's */
const DEFAULT_SAMPLING = 1;

export const DEFAULT_MESH_CONFIG: MeshConfig = {
  providers: new Map(),
  accessLog: undefined,
  defaultProviders: { accessLogging: [], tracing: [] },
  tracing: false,
  tracingSampling: DEFAULT_SAMPLING,
  pathNormalization: 'DEFAULT',
};

const NORMALIZATIONS: readonly PathNormalization[] = [
  'NONE',
  'BASE',
  'MERGE_SLASHES',
  'DECODE_AND_MERGE_SLASHES',
  'DEFAULT',
];
const READ = [
  'extensionProviders',
  'accessLogFile',
  'accessLogFormat',
  'accessLogEncoding',
  'defaultProviders',
  'enableTracing',
  'pathNormalization',
];
/** Of how Istio itself is set up, or set by podwire's own options. */
const ELSEWHERE = [
  'defaultConfig',
  'rootNamespace',
  'trustDomain',
  'enablePrometheusMerge',
  'ingressClass',
  'ingressService',
  'ingressControllerMode',
  'ingressSelector',
  'dnsRefreshRate',
  'configSources',
  'discoverySelectors',
  'caCertificates',
  'certificates',
];

/** accessLogEncoding JSON without accessLogFormat */
const DEFAULT_JSON_LOG: Readonly<Record<string, string>> = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
};

export interface MeshConfigReading {
  readonly config: MeshConfig;
  readonly findings: readonly Finding[];
}

/** What cannot be read stays at its default; a provider that cannot is there and unusable. */
export function readMeshConfig(text: string, file: string): MeshConfigReading {
  const findings: Finding[] = [];
  let resource = 'MeshConfig';
  const report = ({ severity = 'error', ...problem }: Problem): void => {
    findings.push({ ...problem, severity, file, resource });
  };
  const outer = Fields.of(readYaml(text, '', report) ?? {}, '', report);
  let root = outer;
  if (outer?.raw('kind') === 'ConfigMap') {
    const metadata = outer.mapping('metadata');
    const namespace = metadata.string('namespace') ?? 'istio-system';
    resource = `ConfigMap ${namespace}/${metadata.string('name') ?? 'istio'}`;
    const mesh = outer.mapping('data').string('mesh');
    root = Fields.of(readYaml(mesh ?? '', 'data.mesh', report) ?? {}, 'data.mesh', report);
  }
  return { config: root ? readConfig(root, report) : DEFAULT_MESH_CONFIG, findings };
}

function readYaml(text: string, path: string, report: Report): unknown {
  try {
    return parse(text, { logLevel: 'error' }) as unknown;
  } catch (error) {
    const message = `is no YAML: ${(error as Error).message.split('\n')[0]}`;
    report({ code: 'YAML_INVALID', path, message, fix: 'correct it; until then defaults hold' });
    return undefined;
  }
}

function readConfig(root: Fields, report: Report): MeshConfig {
  for (const key of root.keys()) {
    if (READ.includes(key) || ELSEWHERE.includes(key)) continue;
    root.report({
      code: 'NOT_SUPPORTED',
      severity: 'warning',
      key,
      message: 'is not read from the mesh configuration and has no effect',
      fix: 'remove it, or see the README for what podwire has in its place',
    });
  }
  const defaults = root.mapping('defaultProviders');
  const sampling = root.mapping('defaultConfig').mapping('tracing').raw('sampling');
  const isPercent = typeof sampling === 'number' && sampling >= 0 && sampling <= 100;
  return {
    providers: readProviders(root, report),
    accessLog: readAccessLog(root, report),
    defaultProviders: {
      accessLogging: defaults.strings('accessLogging'),
      tracing: defaults.strings('tracing'),
    },
    tracing: root.boolean('enableTracing'),
    tracingSampling: isPercent ? sampling : DEFAULT_SAMPLING,
    pathNormalization: readNormalization(root),
  };
}

function readProviders(root: Fields, report: Report): Map<string, ExtensionProvider> {
  const providers = new Map<string, ExtensionProvider>();
  for (const fields of root.mappings('extensionProviders')) {
    const provider = readExtensionProvider(fields, report);
    if (provider === undefined) continue;
    const { name } = provider;
    if (providers.has(name)) {
      fields.invalid('name', `${describe(name)} is another provider's`, 'use each name once');
      // Which of the two a policy means is anybody's guess.
      providers.set(name, { type: 'unusable', name });
    } else {
      providers.set(name, provider);
    }
  }
  return providers;
}

function readAccessLog(root: Fields, report: Report): AccessLog | undefined {
  const path = root.string('accessLogFile') ?? '';
  const format = root.string('accessLogFormat') ?? '';
  if (path === '') return undefined;
  if (root.string('accessLogEncoding') !== 'JSON') {
    return { path, format: format === '' ? undefined : { type: 'text', format } };
  }
  const at = root.at('accessLogFormat');
  const labels = Fields.of(
    format === '' ? DEFAULT_JSON_LOG : readYaml(format, at, report),
    at,
    report,
  );
  const fields = new Map(labels?.keys().map((key) => [key, labels.string(key) ?? '']));
  return { path, format: { type: 'json', fields } };
}

function readNormalization(root: Fields): PathNormalization {
  const fields = root.mapping('pathNormalization');
  const value = fields.string('normalization') ?? 'DEFAULT';
  const known = NORMALIZATIONS.find((name) => name === value);
  if (known === undefined) {
    const fix = `use one of ${NORMALIZATIONS.join(', ')}`;
    fields.invalid('normalization', `${describe(value)} is no normalization`, fix);
  }
  // Two sides that see one path differently is what attackers look for: the most is done.
  return known ?? 'DECODE_AND_MERGE_SLASHES';
}
