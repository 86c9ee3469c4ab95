/**
 * What the translation has to say about one route or Gateway; the same thing said twice counts once.
 */
import type { Finding, FindingCode } from '../../../../model/finding.ts';
import type { ResourceMeta } from '../../../../model/resource.ts';

/** of the condition ResolvedRefs */
export type UnresolvedReason =
  'BackendNotFound' | 'InvalidKind' | 'RefNotPermitted' | 'InvalidCertificateRef';

export interface Unresolved {
  readonly reason: UnresolvedReason;
  readonly message: string;
}

export class ApiReport {
  readonly #resource: ResourceMeta;
  readonly #findings = new Map<string, Finding>();
  /** the first reference that leads nowhere */
  unresolved: Unresolved | undefined;
  /** what cannot be carried out, the first of it: the resource is not accepted as a whole */
  unsupported: string | undefined;

  constructor(resource: ResourceMeta) {
    this.#resource = resource;
  }

  get findings(): Finding[] {
    return [...this.#findings.values()];
  }

  warn(code: FindingCode, path: string, message: string, fix: string): void {
    const { id, file } = this.#resource;
    const found: Finding = { code, severity: 'warning', file, resource: id, path, message, fix };
    this.#findings.set(`${code} ${path} ${message}`, found);
  }

  /** A value that podwire cannot honour; what depends on it is answered 500. */
  refuse(path: string, message: string, fix: string): void {
    this.unsupported ??= `${path}: ${message}`;
    this.warn('NOT_SUPPORTED', path, message, fix);
  }

  reference(
    reason: UnresolvedReason,
    code: FindingCode,
    path: string,
    message: string,
    fix: string,
  ): void {
    this.unresolved ??= { reason, message: `${path}: ${message}` };
    this.warn(code, path, message, fix);
  }
}
