/**
 * What the translation has to say about one route or Gateway; the same thing said twice counts once.
 */
import type { Finding, FindingCode } from '../../../../model/finding.ts';
import type { ResourceMeta } from '../../../../model/resource.ts';

/** of the condition ResolvedRefs */
export type UnresolvedReason =
  'BackendNotFound' | 'InvalidKind' | 'RefNotPermitted' | 'InvalidCertificateRef';

export interface Unresolved {
  /** of the first */
  readonly reason: UnresolvedReason;
  /** of all */
  readonly message: string;
}

const RULE = /^spec\.rules\[(\d+)\]/;

export class ApiReport {
  readonly #resource: ResourceMeta;
  readonly #findings = new Map<string, Finding>();
  /** those about references that lead nowhere */
  readonly #references = new Map<string, Finding>();
  /** of the first of them */
  #reason: UnresolvedReason | undefined;
  /** by index of the rule: what of it cannot be carried out */
  readonly #refused = new Map<number, string>();

  constructor(resource: ResourceMeta) {
    this.#resource = resource;
  }

  get findings(): Finding[] {
    return [...this.#findings.values()];
  }

  /** those about references */
  get references(): Finding[] {
    return [...this.#references.values()];
  }

  get unresolved(): Unresolved | undefined {
    const reason = this.#reason;
    if (reason === undefined) return undefined;
    const lines = this.references.map(({ path, message }) => `${path}: ${message}`);
    return { reason, message: lines.join('; ') };
  }

  get refused(): ReadonlyMap<number, string> {
    return this.#refused;
  }

  warn(code: FindingCode, path: string, message: string, fix: string): Finding {
    const { id, file } = this.#resource;
    const found: Finding = { code, severity: 'warning', file, resource: id, path, message, fix };
    this.#findings.set(textOf(found), found);
    return found;
  }

  /** A value in a rule that podwire cannot honour; what depends on it is answered 500. */
  refuse(path: string, message: string, fix: string): void {
    const rule = Number(RULE.exec(path)?.[1] ?? 0);
    if (!this.#refused.has(rule)) this.#refused.set(rule, `${path}: ${message}`);
    this.warn('NOT_SUPPORTED', path, message, fix);
  }

  reference(
    reason: UnresolvedReason,
    code: FindingCode,
    path: string,
    message: string,
    fix: string,
  ): void {
    this.#reason ??= reason;
    const found = this.warn(code, path, message, fix);
    this.#references.set(textOf(found), found);
  }
}

function textOf({ code, path, message }: Finding): string {
  return `${code} ${path} ${message}`;
}
