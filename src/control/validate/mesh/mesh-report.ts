/**
 * Findings about a resource and others: warnings, because the other one may be about to come.
 */
import type { Finding, FindingCode } from '../../../model/finding.ts';
import type { Resource } from '../../../model/resource.ts';

export class MeshReport {
  readonly findings: Finding[] = [];
  readonly #resource: Resource;

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  warn(code: FindingCode, path: string, message: string, fix: string): void {
    const { file, id } = this.#resource;
    // One field, one reason: two gateways may have the same to say.
    const same = (one: Finding): boolean => one.path === path && one.message === message;
    if (this.findings.some(same)) return;
    this.findings.push({ code, severity: 'warning', file, resource: id, path, message, fix });
  }
}
