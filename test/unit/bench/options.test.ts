import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CpuPlacement, parseCpuList } from '../../bench/cpus.ts';
import { envoyConfig } from '../../bench/envoy-config.ts';
import { hookCosts } from '../../bench/hooks.ts';
import { fillerRules } from '../../bench/filler-rules.ts';
import {
  DEFAULT_SHAPES,
  SHAPE_NAMES,
  TCP_PORTS,
  exerciseShapes,
  findShape,
} from '../../bench/shapes.ts';
import { benchCommand } from '../../../src/cli/bench.ts';

async function refusal(...args: string[]): Promise<string> {
  let said = '';
  const command = benchCommand()
    .exitOverride()
    .configureOutput({ writeErr: (text) => (said += text) });
  await assert.rejects(command.parseAsync(args, { from: 'user' }));
  return said;
}

suite('options of the bench', () => {
  test('unknown names are refused with the known ones', async () => {
    assert.match(await refusal('--shapes', 'tcp-rr-64,tcp-xx'), /"tcp-xx" is none of tcp-rr-64, /);
    assert.match(await refusal('--variants', 'istio'), /"istio" is none of plain, podwire, /);
    assert.match(await refusal('--server', 'apache'), /bench-httpd, nginx/);
  });

  test('a variant is measured where it exists', async () => {
    const command = (...args: string[]) => benchCommand().parseAsync(args, { from: 'user' });
    await assert.rejects(command('--variants', 'envoy-hbone'), /with --two-nodes only/);
    await assert.rejects(command('--two-nodes', '--variants', 'unix'), /without --two-nodes only/);
  });

  test('numbers are checked', async () => {
    assert.match(await refusal('--rounds', '0'), /whole number from 1/);
    assert.match(await refusal('--rounds', '1.5'), /whole number/);
    assert.match(await refusal('--seconds', 'long'), /number from 0\.05/);
    assert.match(await refusal('--iptables-rules', '-1'), /whole number from 0/);
    assert.match(await refusal('--scale', '99'), /whole number from 100 to 1000000/);
  });
});

suite('shapes', () => {
  test('every shape has a form for free CPUs', () => {
    for (const name of SHAPE_NAMES) {
      const shape = findShape(name);
      assert.equal(shape?.name, name);
      assert.equal(shape?.cpu, name.endsWith('-free') ? 'free' : 'one');
    }
    assert.equal(findShape('tcp-rr-65'), undefined);
  });

  test('the default ones exist', () => {
    for (const name of DEFAULT_SHAPES) assert.ok(SHAPE_NAMES.includes(name), name);
  });

  test('only what is measured is exercised', () => {
    const kinds = (...names: string[]): string[] =>
      exerciseShapes(names.map(findShape).filter((shape) => shape !== undefined)).map(
        ({ load }) => load.kind,
      );
    assert.deepEqual(kinds('tcp-stream'), ['rr', 'crr', 'stream']);
    assert.deepEqual(kinds('http-1k-c1'), ['http']);
    assert.deepEqual(kinds('http-1k-c1', 'tcp-rr-64'), ['rr', 'crr', 'stream', 'http']);
  });
});

suite('placement on CPUs', () => {
  test('one CPU, or one for each end, or any', () => {
    const pinned = new CpuPlacement({ allowed: [2, 3, 5], unpinned: false });
    assert.deepEqual(pinned.plan('one'), { client: '2', server: '2' });
    assert.deepEqual(pinned.plan('free'), { client: '2', server: '3' });
    const unpinned = new CpuPlacement({ allowed: [0, 1], unpinned: true });
    assert.deepEqual(unpinned.plan('free'), { client: undefined, server: undefined });
    const single = new CpuPlacement({ allowed: [0], unpinned: false });
    assert.deepEqual(single.plan('free'), { client: '0', server: '0' });
  });

  test('lists of CPUs as /proc writes them', () => {
    assert.deepEqual(parseCpuList('0'), [0]);
    assert.deepEqual(parseCpuList('0-2,5,7-8'), [0, 1, 2, 5, 7, 8]);
  });
});

suite('costs of hooks', () => {
  test('instances of one program are added up, programs that did not run left out', () => {
    const program = (id: number, name: string, run_cnt: number, run_time_ns: number) => ({
      ...{ id, name, run_cnt, run_time_ns },
    });
    const start = [program(1, 'connect', 100, 5_000), program(2, 'lookup', 0, 0)];
    const end = [
      program(1, 'connect', 200, 15_000),
      program(2, 'lookup', 100, 10_000),
      program(3, 'lookup', 100, 30_000),
      program(4, 'idle', 0, 0),
    ];
    assert.deepEqual(hookCosts(start, end, 100), [
      { program: 'lookup', runsPerConnection: 2, nsPerRun: 200, nsPerConnection: 400 },
      { program: 'connect', runsPerConnection: 1, nsPerRun: 100, nsPerConnection: 100 },
    ]);
  });
});

suite('what stands in the way', () => {
  test('filler rules go into both chains', () => {
    const rules = fillerRules(300);
    assert.equal(rules.match(/-A OUTPUT/g)?.length, 300);
    assert.equal(rules.match(/-A INPUT/g)?.length, 300);
    assert.match(rules, /198\.18\.1\.43\/32/);
    assert.match(rules, /COMMIT\n$/);
  });

  test('sidecars speak plaintext or mTLS, on every port of the shapes', () => {
    const options = { serverAddress: '10.0.0.2' };
    const plain = JSON.stringify(envoyConfig({ ...options, certificates: undefined }));
    assert.doesNotMatch(plain, /tls_certificates/);
    const certificates = { authority: '/ca', certificate: '/leaf', key: '/key' };
    const mtls = JSON.stringify(envoyConfig({ ...options, certificates }));
    assert.match(mtls, /"require_client_certificate":true/);
    for (const port of TCP_PORTS)
      assert.match(mtls, new RegExp(`"destination_port":${port},"transport_protocol":"tls"`));
  });
});
