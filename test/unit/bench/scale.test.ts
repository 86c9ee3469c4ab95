import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseText, splitDocuments } from '../../../src/control/sources/file/documents.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';
import { localYaml, namespaceYaml, scaleMesh, spread } from '../../bench/scale/mesh.ts';
import { scaleOptions } from '../../bench/scale/options.ts';
import { percentile, renderScale, type ScaleResult } from '../../bench/scale/result.ts';

function read(yaml: string) {
  return splitDocuments(yaml).flatMap((document) => {
    const parsed = parseText(document);
    assert.ok(parsed.ok);
    const { resources, findings } = validateDocument(parsed.content, 'a.yaml');
    assert.deepEqual(findings, []);
    return resources;
  });
}

test('the mesh has as many pods and Services as it says, all valid and with addresses of their own', () => {
  const mesh = scaleMesh(250);
  assert.deepEqual(mesh, { pods: 250, services: 25, namespaces: 3 });
  const local = spread(
    [
      { netns: 'pwb-1', address: '10.97.0.1' },
      { netns: 'pwb-2', address: '10.97.0.2' },
    ],
    mesh,
  );
  const resources = [0, 1, 2].flatMap((namespace) => read(namespaceYaml(mesh, namespace, local)));
  const pods = resources.filter(({ kind }) => kind === 'Pod');
  const services = resources.filter(({ kind }) => kind === 'Service');
  assert.deepEqual([pods.length, services.length], [250, 25]);
  const addresses = [...pods, ...services].flatMap((one) =>
    'addresses' in one ? [...one.addresses] : [],
  );
  assert.equal(new Set(addresses).size, 275);
  const enrolled = pods.filter((pod) => pod.kind === 'Pod' && pod.netns !== undefined);
  assert.deepEqual(
    read(localYaml(local)).map(({ id }) => id),
    enrolled.map(({ id }) => id),
  );
});

test('a pod that is unready is unready in the file of its namespace alone', () => {
  const mesh = scaleMesh(200);
  const unready = (namespace: number): string[] =>
    read(namespaceYaml(mesh, namespace, new Map(), new Set([105]))).flatMap((one) =>
      one.kind === 'Pod' && !one.ready ? [one.name] : [],
    );
  assert.deepEqual([unready(0), unready(1)], [[], ['app-10-6d4cf56db6-p105']]);
});

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.deepEqual(
    [percentile(values, 50), percentile(values, 99), percentile([7], 99)],
    [50, 99, 7],
  );
});

test('the page says whether control is a process of its own', () => {
  const result: ScaleResult = {
    ...{ pods: 500, services: 50, coldStartMs: 1, changeP50Ms: 2, changeP99Ms: 3 },
    ...{ changesPerSecond: 100, controlRssMiB: 90, agentRssMiB: 80, bytesPerWorkload: 700 },
    ...{ cpuCores: 0.1, mode: 'separate', localPods: 5, coldStartCpuMs: 1 },
    ...{ applyP50Ms: 1, applyP99Ms: 1 },
    machine: { cpus: 2, kernel: '6.18', node: 'v20' },
  };
  assert.match(renderScale(result), /^memory +agent 80 MiB, control 90 MiB resident$/m);
  assert.match(renderScale({ ...result, mode: 'embedded' }), /^memory +80 MiB .* in one process$/m);
});

test('a mesh that fits on one machine has few pods here, a large one no more than a node has', () => {
  assert.equal(scaleOptions(500, 'separate', true).localPods, 5);
  assert.equal(scaleOptions(100_000, 'separate', false).localPods, 100);
});
