import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { buildResult, totalCpuPer100k, type BenchResult } from '../../bench/result.ts';
import { MACHINE, outcome, sample, series } from './samples.ts';

function ratio(
  result: BenchResult,
  shape: string,
  variant: string,
  against: string,
  metric: string,
) {
  return result.ratios.find(
    (one) =>
      one.shape === shape &&
      one.variant === variant &&
      one.against === against &&
      one.metric === metric,
  );
}

suite('result of the bench', () => {
  test('--json has exactly the promised fields', () => {
    const { result } = outcome();
    assert.deepEqual(Object.keys(result), ['machine', 'rounds', 'results', 'ratios']);
    for (const one of result.results) {
      assert.deepEqual(Object.keys(one).sort(), [
        'cpu',
        'gbps',
        'iptablesRules',
        'meshCpuSecondsPer100k',
        'meshCpuSecondsPerGb',
        'meshRssMiB',
        'opsPerSecond',
        'p50Us',
        'p90Us',
        'p999Us',
        'p99Us',
        'shape',
        'spread',
        'variant',
      ]);
    }
    for (const one of result.ratios) {
      assert.deepEqual(Object.keys(one).sort(), [
        'against',
        'metric',
        'shape',
        'spread',
        'value',
        'variant',
      ]);
    }
    assert.deepEqual(JSON.parse(JSON.stringify(result)), result);
  });

  test('figures are medians, the spread is that of the first figure', () => {
    const { result } = outcome();
    const plain = result.results.find(
      ({ shape, variant }) => shape === 'tcp-rr-64' && variant === 'plain',
    );
    assert.equal(plain?.p50Us, 9);
    assert.deepEqual(plain?.spread, [8.5, 9.5]);
    assert.equal(plain?.cpu, 'one');
    const stream = result.results.find(
      ({ shape, variant }) => shape === 'tcp-stream' && variant === 'plain',
    );
    assert.equal(stream?.p50Us, null);
    assert.equal(stream?.gbps, 11);
    assert.deepEqual(stream?.spread, [10.5, 11.5]);
  });

  test('every variant is compared with every other one of its shape', () => {
    const { result } = outcome();
    const pairs = new Set(
      result.ratios
        .filter(({ shape }) => shape === 'tcp-rr-64')
        .map(({ variant, against }) => `${variant} ${against}`),
    );
    assert.equal(pairs.size, 6);
    assert.equal(ratio(result, 'tcp-rr-64', 'podwire', 'plain', 'p50Us')?.value, 0.5);
    assert.equal(ratio(result, 'tcp-rr-64', 'podwire', 'sidecar-mtls', 'p50Us')?.value, 0.1);
    assert.equal(ratio(result, 'tcp-stream', 'podwire', 'sidecar-mtls', 'gbps'), undefined);
  });

  test('metrics that a shape does not have are not compared', () => {
    const { result } = outcome();
    assert.equal(ratio(result, 'tcp-stream', 'podwire', 'plain', 'p50Us'), undefined);
    assert.equal(ratio(result, 'tcp-rr-64', 'podwire', 'plain', 'gbps'), undefined);
    assert.equal(
      ratio(result, 'tcp-rr-64', 'podwire', 'plain', 'meshCpuSecondsPer100k'),
      undefined,
    );
  });

  test('CPU seconds are summed before they are divided', () => {
    const rounds = [
      { operations: 100_000, meshCpuSeconds: 1, driverCpuSeconds: 2 },
      { operations: 300_000, meshCpuSeconds: 1, driverCpuSeconds: 2 },
    ];
    const { results } = buildResult({
      machine: MACHINE,
      rounds: 2,
      iptablesRules: 7,
      series: [series('tcp-crr', 'sidecar', rounds)],
    });
    assert.equal(results[0]?.meshCpuSecondsPer100k, 0.5);
    assert.equal(results[0]?.iptablesRules, 7);
    assert.equal(totalCpuPer100k(rounds.map(sample)), 1.5);
  });

  test('a variant without a single round is left out', () => {
    const { results } = buildResult({
      machine: MACHINE,
      rounds: 0,
      iptablesRules: 0,
      series: [series('tcp-crr', 'plain', [])],
    });
    assert.deepEqual(results, []);
  });
});
