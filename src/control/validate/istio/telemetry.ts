/**
 * Telemetry: what its schema does not say.
 */
import type { TelemetrySpec } from '../../../model/resource/telemetry.ts';
import type { SpecReport } from '../spec-report.ts';
import { checkHeaderName } from './http-match.ts';

export function checkTelemetry({ tracing, metrics }: TelemetrySpec, report: SpecReport): void {
  tracing?.forEach(({ randomSamplingPercentage, customTags }, index) => {
    const path = `spec.tracing[${index}]`;
    report.percent(`${path}.randomSamplingPercentage`, randomSamplingPercentage ?? undefined);
    for (const [name, { header }] of Object.entries(customTags ?? {})) {
      if (header) checkHeaderName(header.name, `${path}.customTags['${name}'].header.name`, report);
    }
  });
  metrics?.forEach(({ reportingInterval }, index) =>
    report.duration(`spec.metrics[${index}].reportingInterval`, reportingInterval),
  );
}
