/**
 * Whatever stands in a resource, validation answers with findings, and what it lets through does the mesh no harm.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import istio from '../../../../src/control/schema/istio.json' with { type: 'json' };
import gatewayApi from '../../../../src/control/schema/gateway-api.json' with { type: 'json' };
import { parseText, splitDocuments } from '../../../../src/control/sources/file/documents.ts';
import { validateDocument } from '../../../../src/control/validate/document.ts';
import { MeshChecks } from '../../../../src/control/validate/mesh/mesh-checks.ts';
import type { SchemaFile } from '../../../../src/control/schema/schema-file.ts';

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
}

const TEXTS = ['web', 'a.b', '*.b', '5s', 'gw', 'ns', 'HTTP', 'Service', './web'];
const BAD_TEXTS = ['*', '', '(', '.*', '10.0.0.1', '__proto__', 'a/b/c'];
const junk = fc.oneof(
  fc.constantFrom<unknown>(null, true, -1, 0, 80, 1e300, 'x', [], {}, [[]]),
  fc.jsonValue({ maxDepth: 3 }),
);

/** What the schema allows, more or less, with junk once in a while. */
function arbitrary(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  const value = plausible(schema, depth);
  return fc.oneof({ arbitrary: value, weight: 60 }, { arbitrary: junk, weight: 1 });
}

function plausible(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'string':
      return fc.oneof(
        { arbitrary: fc.constantFrom(...TEXTS), weight: 9 },
        fc.constantFrom(...BAD_TEXTS),
      );
    case 'integer':
      return fc.constantFrom(0, 1, 80, 443, 100, -1, 70000);
    case 'number':
      return fc.constantFrom(0, 0.5, 100, 101);
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(depth > 0 ? arbitrary(schema.items ?? {}, depth - 1) : junk, {
        maxLength: 3,
      });
    case 'object': {
      const { properties = {}, additionalProperties, required = [] } = schema;
      if (depth === 0) return fc.constant({});
      if (typeof additionalProperties === 'object') {
        const below = arbitrary(additionalProperties, depth - 1);
        return fc.dictionary(fc.constantFrom(...TEXTS, '80'), below, { maxKeys: 3 });
      }
      // A few fields of many: with all of them, one would always be wrong, and hide the others.
      const others = Object.keys(properties).filter((name) => !required.includes(name));
      return fc
        .subarray(others, { maxLength: Math.min(3, others.length) })
        .chain((some) =>
          fc.record(
            Object.fromEntries(
              [...required, ...some].map((name) => [name, arbitrary(properties[name]!, depth - 1)]),
            ),
          ),
        );
    }
    default:
      return junk;
  }
}

for (const file of [istio, gatewayApi] as unknown as SchemaFile[]) {
  for (const [kind, { group, versions, spec }] of Object.entries(file.kinds)) {
    test(`random ${kind} of ${group} never make validation or the checks throw`, () => {
      const metadata = fc.record({
        name: fc.constantFrom('a', 'gw', 'web'),
        namespace: fc.constant('shop'),
      });
      const specs = arbitrary(spec as Schema, 7);
      const checks = new MeshChecks({ domain: 'cluster.local', rootNamespace: 'shop' });
      fc.assert(
        fc.property(metadata, specs, (meta, value) => {
          const document = {
            apiVersion: `${group}/${versions[0]}`,
            kind,
            metadata: meta,
            spec: value,
          };
          const { resources, findings } = validateDocument(structuredClone(document), 'f');
          for (const { message, fix } of findings) assert.ok(message !== '' && fix !== '');
          const wrong = findings.some(({ severity }) => severity === 'error');
          // Nothing is lost in silence: a resource, a closed one, or an error that says why not.
          assert.ok(resources.length === 1 || wrong);
          for (const after of resources) {
            checks.apply([{ before: undefined, after }]);
            checks.preview(after);
            assert.ok(Array.isArray(checks.findings()));
            checks.apply([{ before: after, after: undefined }]);
          }
          assert.deepEqual(checks.findings(), []);
        }),
        { numRuns: 200 },
      );
    });
  }
}

test('random text is refused or read, never thrown at', () => {
  const line = fc.constantFrom(
    'apiVersion: networking.istio.io/v1',
    'kind: VirtualService',
    'metadata: { name: a }',
    'spec:',
    '  hosts: [a]',
    '  http: &a [*a]',
    '---',
    '- x',
    '  <<: *a',
    '\t',
    '? [a]: b',
    '!!binary x',
    '%YAML 9',
    'spec: !!js/function x',
  );
  const text = fc.oneof(
    fc.array(line, { maxLength: 12 }).map((lines) => lines.join('\n')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (yaml) => {
      for (const document of splitDocuments(yaml)) {
        const parsed = parseText(document);
        if (parsed.ok) validateDocument(parsed.content, 'f');
      }
    }),
    { numRuns: 1000 },
  );
});
