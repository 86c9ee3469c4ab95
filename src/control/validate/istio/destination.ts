/**
 * Destinations of a route and their weights.
 */
import type { DestinationSpec } from '../../../model/resource/virtual-service.ts';
import { describe } from '../fields.ts';
import { isHostOrWildcard } from '../host.ts';
import type { SpecReport } from '../spec-report.ts';

interface Weighted {
  readonly destination: DestinationSpec;
  readonly weight?: number;
}

/** Weights are shares of their sum; one destination needs none.  Percentages that do not make 100 are most likely slips. */
export function checkDestinations(
  route: readonly Weighted[],
  path: string,
  report: SpecReport,
): void {
  route.forEach(({ destination, weight = 0 }, index) => {
    checkDestination(destination, `${path}[${index}].destination`, report);
    if (weight < 0) {
      report.invalid(`${path}[${index}].weight`, `is ${weight}`, 'use 0 or more');
    }
  });
  if (route.length < 2) return;
  const weights = route.map(({ weight = 0 }) => weight);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0) {
    report.error('WEIGHTS_INVALID', path, 'all weights are 0', 'give one of them a weight');
  } else if (sum !== 100 && weights.some((weight) => weight >= 10)) {
    const shares = weights
      .map((weight) => `${Math.round((weight / sum) * 1000) / 10} %`)
      .join(', ');
    const message = `weights add up to ${sum}, not to 100: the shares are ${shares}`;
    report.warn('WEIGHTS_INVALID', path, message, 'make them add up to 100');
  }
}

export function checkDestination(
  { host, port, subset }: DestinationSpec,
  path: string,
  report: SpecReport,
): void {
  if (host === '*' || !isHostOrWildcard(host)) {
    report.invalid(`${path}.host`, `${describe(host)} is no host name`, 'name a service');
  }
  if (subset === '') report.missing(`${path}.subset`);
  report.port(`${path}.port.number`, port?.number);
}
