/**
 * Generator of istio.json and gateway-api.json: the OpenAPI schemas of the CRDs, without what validation does not need.
 *
 *   npm run gen:schema        (needs Go: modules come through its own client, at the versions below)
 *
 * Dropped: descriptions, formats; rules about the old state of a resource (oldSelf) and those that the CEL library cannot
 * evaluate, which are listed in the output.
 * Added: additionalProperties false wherever the schema names its properties, for the API server refuses the rest too.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { celRule } from './cel.ts';
import type { KindSchema, SchemaFile } from './schema-file.ts';

interface Origin {
  readonly output: string;
  readonly module: string;
  readonly version: string;
  readonly folder: string;
  readonly kinds: readonly string[];
}

type Json = Record<string, unknown>;

const ORIGINS: readonly Origin[] = [
  {
    output: 'istio.json',
    module: 'istio.io/api',
    version: 'v1.25.0-alpha.0.0.20250218184651-391fae208a15',
    folder: 'kubernetes',
    kinds: [
      'VirtualService',
      'DestinationRule',
      'Gateway',
      'ServiceEntry',
      'WorkloadEntry',
      'WorkloadGroup',
      'Sidecar',
      'PeerAuthentication',
      'RequestAuthentication',
      'Telemetry',
    ],
  },
  {
    output: 'gateway-api.json',
    module: 'sigs.k8s.io/gateway-api',
    version: 'v1.2.1',
    folder: 'config/crd/experimental',
    kinds: [
      'GatewayClass',
      'Gateway',
      'HTTPRoute',
      'GRPCRoute',
      'TCPRoute',
      'TLSRoute',
      'ReferenceGrant',
    ],
  },
];

const KEPT = [
  'type',
  'enum',
  'required',
  'default',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'uniqueItems',
  'multipleOf',
];

for (const origin of ORIGINS) {
  const file = join(import.meta.dirname, origin.output);
  writeFileSync(file, `${JSON.stringify(read(origin), undefined, 1)}\n`);
}

function read({ module, version, folder, kinds }: Origin): SchemaFile {
  const answer = execFileSync('go', ['mod', 'download', '-json', `${module}@${version}`], {
    encoding: 'utf8',
  });
  const root = join((JSON.parse(answer) as { Dir: string }).Dir, folder);
  const schemas: Record<string, KindSchema> = {};
  const notEvaluated: string[] = [];
  for (const name of readdirSync(root).sort()) {
    if (!name.endsWith('.yaml')) continue;
    for (const document of parseAllDocuments(readFileSync(join(root, name), 'utf8'))) {
      const crd = document.toJS() as Json | null;
      if (crd?.['kind'] !== 'CustomResourceDefinition') continue;
      const { kind, schema } = readKind(crd, notEvaluated);
      if (kinds.includes(kind)) schemas[kind] = schema;
    }
  }
  return {
    origin: `${module} ${version}, ${folder}`,
    license: 'Apache-2.0',
    notEvaluated,
    kinds: Object.fromEntries(kinds.map((kind) => [kind, schemas[kind]!])),
  };
}

function readKind(crd: Json, notEvaluated: string[]): { kind: string; schema: KindSchema } {
  const spec = crd['spec'] as {
    group: string;
    names: { kind: string };
    versions: { name: string; served: boolean; storage: boolean; schema: Json }[];
  };
  const stored = spec.versions.find(({ storage }) => storage)!;
  const root = (stored.schema as { openAPIV3Schema: { properties: Json } }).openAPIV3Schema;
  const { kind } = spec.names;
  return {
    kind,
    schema: {
      group: spec.group,
      versions: spec.versions.filter(({ served }) => served).map(({ name }) => name),
      spec: reduce(root.properties['spec'] as Json, `${kind}.spec`, notEvaluated),
    },
  };
}

function reduce(schema: Json, path: string, notEvaluated: string[]): Json {
  const reduced: Json = {};
  for (const key of KEPT) if (schema[key] !== undefined) reduced[key] = schema[key];
  if (schema['x-kubernetes-int-or-string'] === true) reduced['type'] = ['integer', 'string'];
  const properties = schema['properties'] as Record<string, Json> | undefined;
  if (properties !== undefined) {
    reduced['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, item]) => [
        name,
        reduce(item, `${path}.${name}`, notEvaluated),
      ]),
    );
    // Branches of oneOf and the like have properties too, and say nothing about the others.
    if (schema['type'] === 'object' && schema['x-kubernetes-preserve-unknown-fields'] !== true) {
      reduced['additionalProperties'] = false;
    }
  }
  for (const key of ['items', 'not', 'additionalProperties']) {
    const item = schema[key];
    if (typeof item === 'object') reduced[key] = reduce(item as Json, path, notEvaluated);
  }
  for (const key of ['oneOf', 'anyOf', 'allOf']) {
    const list = schema[key] as Json[] | undefined;
    if (list === undefined || schema['x-kubernetes-int-or-string'] === true) continue;
    reduced[key] = list.map((item) => reduce(item, path, notEvaluated));
  }
  keepKubernetes(schema, reduced, path, notEvaluated);
  return reduced;
}

/** Lists with keys, and rules in CEL. */
function keepKubernetes(schema: Json, reduced: Json, path: string, notEvaluated: string[]): void {
  if (schema['x-kubernetes-list-type'] === 'map') {
    reduced['x-kubernetes-list-map-keys'] = schema['x-kubernetes-list-map-keys'];
  } else if (schema['x-kubernetes-list-type'] === 'set') {
    reduced['uniqueItems'] = true;
  }
  const rules = (schema['x-kubernetes-validations'] ?? []) as { rule: string; message?: string }[];
  const usable = rules.filter(({ rule }) => !rule.includes('oldSelf') && celRule(rule));
  for (const one of rules) {
    if (!usable.includes(one)) notEvaluated.push(`${path}: ${one.message ?? one.rule}`);
  }
  if (usable.length === 0) return;
  reduced['x-kubernetes-validations'] = usable.map(({ rule, message }) => ({ rule, message }));
}
