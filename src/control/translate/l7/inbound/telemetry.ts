/**
 * Telemetry → the access log and the tracing of a connection manager that takes requests for a workload.
 *
 * The nearest resource that names providers says which; what else it sets overrides what a farther one does, field by field.
 */
import type { AccessLog, HttpConnectionManager } from '../../../../model/listener.ts';
import type {
  AccessLoggingSpec,
  TelemetryResource,
  TracingSpec,
  WorkloadMode,
} from '../../../../model/resource/telemetry.ts';
import type { MeshConfig } from '../../../mesh-config.ts';
import { describe, type Problem } from '../../../validate/fields.ts';

export type TelemetrySettings = Pick<HttpConnectionManager, 'accessLog' | 'tracing'>;

/** Istio's own provider: a line to standard output. */
const BUILT_IN_LOG: AccessLog = { path: '/dev/stdout', format: undefined };
const BUILT_IN_NAME = 'envoy';
const MILLIONTHS_PER_PERCENT = 10_000;

/** `nearest` first: selecting, of the namespace, of the mesh */
export function telemetrySettings(
  nearest: readonly TelemetryResource[],
  mesh: MeshConfig,
): TelemetrySettings {
  return { accessLog: accessLogs(nearest, mesh), tracing: tracing(nearest, mesh) };
}

function accessLogs(nearest: readonly TelemetryResource[], mesh: MeshConfig): AccessLog[] {
  const specs = nearest.map(({ spec }) => (spec.accessLogging ?? []).filter(isOfServer));
  const isSaid = specs.some((list) => list.length > 0);
  if (!isSaid && mesh.defaultProviders.accessLogging.length === 0) {
    return mesh.accessLog === undefined ? [] : [mesh.accessLog];
  }
  const defaults = mesh.defaultProviders.accessLogging;
  const names = providersOf(specs) ?? (defaults.length > 0 ? defaults : [BUILT_IN_NAME]);
  return names
    .filter((name) => !isDisabled(specs.flat(), name))
    .flatMap((name) => logOf(name, mesh) ?? []);
}

/** An entry without providers speaks of all of them. */
function isDisabled(nearest: readonly AccessLoggingSpec[], provider: string): boolean {
  const entry = nearest.find(
    ({ disabled, providers = [] }) =>
      typeof disabled === 'boolean' &&
      (providers.length === 0 || providers.some(({ name }) => name === provider)),
  );
  return entry?.disabled === true;
}

function logOf(name: string, mesh: MeshConfig): AccessLog | undefined {
  const provider = mesh.providers.get(name);
  if (provider?.type === 'access-log') return provider.log;
  if (provider !== undefined || name !== BUILT_IN_NAME) return undefined;
  return mesh.accessLog ?? BUILT_IN_LOG;
}

function tracing(
  nearest: readonly TelemetryResource[],
  mesh: MeshConfig,
): TelemetrySettings['tracing'] {
  const specs = nearest.map(({ spec }) => (spec.tracing ?? []).filter(isOfServer));
  const names = providersOf(specs) ?? mesh.defaultProviders.tracing;
  const isTraced =
    names.length === 0
      ? mesh.tracing
      : names.some((name) => mesh.providers.get(name)?.type === 'tracing');
  const disabled = firstOf(specs, (spec) => spec.disableSpanReporting ?? undefined);
  if (!isTraced || disabled === true) return undefined;
  const percent = firstOf(specs, (spec) => spec.randomSamplingPercentage ?? undefined);
  const sampling = Math.round((percent ?? mesh.tracingSampling) * MILLIONTHS_PER_PERCENT);
  return { sampling };
}

/** What has no effect, or another one than was asked for. */
export function telemetryProblems({ spec }: TelemetryResource, mesh: MeshConfig): Problem[] {
  const problems: Problem[] = [];
  const warn = (path: string, message: string, fix: string): void => {
    problems.push({ code: 'NOT_SUPPORTED', severity: 'warning', path, message, fix });
  };
  spec.accessLogging?.forEach(({ filter, providers = [] }, index) => {
    const path = `spec.accessLogging[${index}]`;
    if (filter?.expression) {
      const message = `${describe(filter.expression)} is not evaluated: every request is logged`;
      warn(`${path}.filter.expression`, message, 'filter where the log is read, or set disabled');
    }
    checkProviders(providers, `${path}.providers`, 'access-log', mesh, warn);
  });
  spec.tracing?.forEach(({ customTags, providers = [] }, index) => {
    const path = `spec.tracing[${index}]`;
    if (Object.keys(customTags ?? {}).length > 0) {
      warn(`${path}.customTags`, 'tags of one’s own are not set', 'remove them');
    }
    checkProviders(providers, `${path}.providers`, 'tracing', mesh, warn);
  });
  spec.metrics?.forEach(({ overrides = [] }, index) => {
    if (overrides.length === 0) return;
    const fix = 'drop or relabel the metrics where they are scraped';
    warn(`spec.metrics[${index}].overrides`, 'metrics have Istio’s standard labels', fix);
  });
  return problems;
}

function checkProviders(
  providers: readonly { readonly name: string }[],
  path: string,
  type: 'access-log' | 'tracing',
  mesh: MeshConfig,
  warn: (path: string, message: string, fix: string) => void,
): void {
  providers.forEach(({ name }, index) => {
    const found = mesh.providers.get(name);
    if (found?.type === type || (type === 'access-log' && name === BUILT_IN_NAME && !found)) return;
    const message =
      found === undefined
        ? `${describe(name)} is no extension provider`
        : `the provider ${describe(name)} cannot be used for this`;
    const fix = 'name one of meshConfig.extensionProviders';
    warn(`${path}[${index}].name`, `${message} and has no effect`, fix);
  });
}

function isOfServer({ match }: { readonly match?: { readonly mode?: WorkloadMode } }): boolean {
  return match?.mode !== 'CLIENT';
}

type Spec = AccessLoggingSpec | TracingSpec;

function providersOf(specs: readonly (readonly Spec[])[]): string[] | undefined {
  for (const list of specs) {
    const names = list.flatMap(({ providers = [] }) => providers.map(({ name }) => name));
    if (names.length > 0) return [...new Set(names)];
  }
  return undefined;
}

function firstOf<S, T>(
  specs: readonly (readonly S[])[],
  read: (spec: S) => T | undefined,
): T | undefined {
  for (const list of specs) {
    for (const spec of list) {
      const found = read(spec);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
