/**
 * `node dist/test/bench/hbone/main.js [seconds] [rounds] [variant,variant…] [shape,shape…]`: HBONE of every transport beside Envoy's, on
 * loopback. Prints a line for each sample and the medians with their ratios to Envoy.
 */
import { SpiffeAuthority } from '../../support/spiffe-authority.ts';
import { TRANSPORTS } from '../../support/sockets.ts';
import { ENVOY_MISSING, findEnvoy } from '../envoy.ts';
import { type HboneSample, measureRound, SHAPES, type Variant } from './measure.ts';
import { type Ends, envoyPair, podwirePair } from './pair.ts';

const TRUST_DOMAIN = 'cluster.local';

function variants(ends: Ends): Variant[] {
  const envoy = findEnvoy(process.env);
  if (!envoy) console.error(ENVOY_MISSING);
  return [
    { name: 'plain', start: () => Promise.resolve(undefined) },
    ...(envoy
      ? [{ name: 'envoy-hbone', start: (port: number) => envoyPair(envoy, ends, port) }]
      : []),
    ...TRANSPORTS.map(({ name }) => ({
      name: `podwire-${name}`,
      start: (port: number) => podwirePair(name, ends, port),
    })),
  ];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function summary(samples: readonly HboneSample[]): void {
  for (const shape of new Set(samples.map((sample) => sample.shape))) {
    const of = (variant: string, pick: (sample: HboneSample) => number): number =>
      median(samples.filter((one) => one.variant === variant && one.shape === shape).map(pick));
    for (const variant of new Set(samples.map((sample) => sample.variant))) {
      const speed = (sample: HboneSample): number =>
        shape === 'stream'
          ? (sample.gbps ?? 0)
          : shape === 'rr-64'
            ? sample.p50Us
            : sample.perSecond;
      const [value, cpu] = [of(variant, speed), of(variant, ({ cpu: spent }) => spent)];
      const [base, baseCpu] = [
        of('envoy-hbone', speed),
        of('envoy-hbone', ({ cpu: spent }) => spent),
      ];
      const unit = { stream: 'Gb/s', 'rr-64': 'us p50', 'crr-64': 'conn/s' }[shape];
      const cpuUnit = shape === 'stream' ? 's/GB' : 'us/op';
      console.log(
        `${shape.padEnd(7)} ${variant.padEnd(16)} ${value.toFixed(2).padStart(9)} ${unit}` +
          ` (${(value / base).toFixed(2)} x)  cpu ${cpu.toFixed(2).padStart(8)} ${cpuUnit} (${(cpu / baseCpu).toFixed(2)} x)`,
      );
    }
  }
}

const [seconds = '3', rounds = '3', only, onlyShapes] = process.argv.slice(2);
const shapes = SHAPES.filter((shape) => !onlyShapes || onlyShapes.split(',').includes(shape));
const authority = await SpiffeAuthority.create();
const ends: Ends = {
  client: await authority.issue(`spiffe://${TRUST_DOMAIN}/ns/default/sa/client`),
  server: await authority.issue(`spiffe://${TRUST_DOMAIN}/ns/default/sa/server`),
  trustDomain: TRUST_DOMAIN,
};
const chosen = variants(ends).filter(({ name }) => !only || only.split(',').includes(name));
const samples: HboneSample[] = [];
for (let round = 0; round < Number(rounds); round++) {
  for (const sample of await measureRound(chosen, shapes, Number(seconds))) {
    samples.push(sample);
    console.error(JSON.stringify(sample));
  }
}
summary(samples);
