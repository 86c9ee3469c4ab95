/**
 * Control without a home: any number of sources → the messages the agent's store accepts, the pods to enrol, findings.
 *
 *   source ─┐
 *   source ─┴► origins ─► resource index (conflicts) ─► translate ─► onUpdate
 *
 * The first update is delivered before start() resolves, when every source has delivered its state or has said why it
 * cannot; later ones follow every change.
 */
import type { Log } from '../log.ts';
import type { ControlUpdate } from '../model/control-update.ts';
import type { NodeEnrolment } from '../model/enrolment.ts';
import { byPlace, formatFinding, type Finding } from '../model/finding.ts';
import type { Resource } from '../model/resource.ts';
import { FollowedSecrets } from './followed-secrets.ts';
import { MeshConfigFile } from './mesh-config-file.ts';
import { ResourceIndex, type ResourceChange } from './resource-index.ts';
import type { OriginChanges, OriginContent, Source } from './sources/source.ts';
import type { StatusReport } from './status/report.ts';
import type { Ownership } from './translate/l7/api-route.ts';
import type { ApiVerdict } from './translate/l7/gateway-api/verdict.ts';
import type { MeshVisibility } from './translate/l7/mesh-visibility.ts';
import { MeshTranslator } from './translate/mesh.ts';
import type { TranslateOptions } from './translate/options.ts';
import { MeshChecks } from './validate/mesh/mesh-checks.ts';

/**
 * All findings are walked to find the new ones.  That is done at once as long as it costs little, and takes at most this
 * part of the time when changes keep coming in a large mesh.
 */
const LOG_SHARE = 0.01;
const LOG_BURST_MS = 50;

const NOBODY: NodeEnrolment = { pods: [], networkPolicies: [] };

export interface CoreOptions {
  /** their names differ, and so do their origins */
  readonly sources: readonly Source[];
  readonly translate: TranslateOptions;
  /** file with Istio's MeshConfig; absent: its defaults */
  readonly meshConfig?: string | undefined;
  readonly log: Log;
  /** which pods live on this node; absent: none */
  readonly enrolment?: {
    apply(changes: readonly ResourceChange[]): NodeEnrolment;
  };
  readonly onUpdate: (update: ControlUpdate) => void;
  /** origins that were told anew or are gone; after the update */
  readonly onOrigins?: (origins: Iterable<string>) => void;
}

export class ControlCore {
  readonly #options: CoreOptions;
  readonly #index: ResourceIndex;
  readonly #translator: MeshTranslator;
  readonly #checks: MeshChecks;
  readonly #originFindings = new Map<string, readonly Finding[]>();
  readonly #meshConfig: MeshConfigFile | undefined;
  #meshConfigFindings: readonly Finding[] = [];
  /** by source: why it cannot be read for now */
  readonly #unavailable = new Map<string, Finding>();
  /** what came before every source was heard */
  #early: Map<string, OriginContent | undefined> | undefined = new Map();
  #findings: readonly Finding[] | undefined;
  #logged = new Set<string>();
  /** time spent on it, paid back by the share above */
  #logDebtMs = 0;
  #loggedMs = 0;
  #logTimer: NodeJS.Timeout | undefined;
  #delivered = false;
  readonly #secrets: FollowedSecrets;
  #closed = false;

  constructor(options: CoreOptions) {
    this.#options = options;
    this.#index = new ResourceIndex(options.translate.clusterId);
    this.#translator = new MeshTranslator(options.translate);
    this.#checks = new MeshChecks(options.translate);
    this.#secrets = new FollowedSecrets(options.sources, () => this.#logSoon());
    this.#meshConfig =
      options.meshConfig === undefined
        ? undefined
        : new MeshConfigFile(options.meshConfig, ({ config, findings }) => {
            if (config !== undefined) this.#translator.setMeshConfig(config);
            this.#meshConfigFindings = findings;
            this.#tellAnew();
          });
  }

  /** Throws what a source throws that the operator must mend first; everything is closed then. */
  async start(): Promise<void> {
    await this.#meshConfig?.start();
    const { sources } = this.#options;
    const starts = sources.map(async (source) =>
      source.start({
        apply: (changes) => this.#receive(changes),
        unavailable: (finding) => this.#setUnavailable(source.name, finding),
      }),
    );
    const failed = (await Promise.allSettled(starts)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      await this.close();
      throw failed.reason;
    }
    const early = this.#early ?? new Map<string, OriginContent | undefined>();
    this.#early = undefined;
    this.#deliver(early);
    await this.secretsRead();
    this.#logFindings();
  }

  /**
   * Resolves when every Secret that something names was read, is missing or cannot be read: served before, agents would
   * take it for gone.
   */
  secretsRead(): Promise<void> {
    return this.#secrets.read();
  }

  /** As they stand now, by place. */
  findings(): readonly Finding[] {
    this.#findings ??= [
      ...this.#unavailable.values(),
      ...this.#meshConfigFindings,
      ...[...this.#originFindings.values()].flat(),
      ...this.#index.findings(),
      ...this.#translator.findings(),
      ...this.#checks.findings(),
    ].sort(byPlace);
    return this.#findings;
  }

  /** What a resource would be told by the others if it came (again): for the admission webhook. */
  preview(resource: Resource): readonly Finding[] {
    return [...this.#checks.preview(resource), ...this.#translator.judge.preview(resource)];
  }

  /** Of every origin there is, those without a finding included; findings of no origin are left out. */
  reports(): ReadonlyMap<string, StatusReport> {
    const verdicts = new Map<string, ApiVerdict>();
    for (const verdict of this.#translator.judge.verdicts()) verdicts.set(verdict.origin, verdict);
    const findings = new Map<string, Finding[]>();
    for (const origin of this.#index.origins()) findings.set(origin, []);
    for (const origin of this.#originFindings.keys()) findings.set(origin, []);
    for (const finding of this.findings()) findings.get(finding.file)?.push(finding);
    const reports = new Map<string, StatusReport>();
    for (const [origin, list] of findings) {
      reports.set(origin, { findings: list, verdict: verdicts.get(origin) });
    }
    return reports;
  }

  /** Whose statuses are podwire's to write. */
  get ownership(): Ownership {
    return this.#translator.judge.ownership;
  }

  /** Who may see what: for the scoping of a server. */
  get visibility(): MeshVisibility {
    return this.#translator.visibility;
  }

  /** No update is delivered after this resolves; may be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#logTimer);
    await this.#meshConfig?.close();
    await Promise.all(this.#options.sources.map((source) => source.close()));
  }

  #receive(changes: OriginChanges): void {
    if (this.#closed) return;
    if (this.#early !== undefined) {
      for (const [origin, content] of changes) this.#early.set(origin, content);
      return;
    }
    this.#guarded(() => this.#deliver(changes));
  }

  /** What goes wrong here is no business of the source, which goes on. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (err) {
      this.#options.log.error({ err }, 'a change of the configuration could not be applied');
    }
    this.#logSoon();
  }

  #setUnavailable(source: string, finding: Finding | undefined): void {
    const before = this.#unavailable.get(source);
    if (this.#closed || sameFindings(before ? [before] : [], finding ? [finding] : [])) return;
    if (finding === undefined) this.#unavailable.delete(source);
    else this.#unavailable.set(source, finding);
    this.#tellAnew();
  }

  /** What no resource has changed. */
  #tellAnew(): void {
    this.#findings = undefined;
    if (this.#closed || this.#early !== undefined) return;
    this.#guarded(() => this.#options.onUpdate(this.#update([])));
  }

  #deliver(origins: OriginChanges): void {
    const changes = this.#index.apply(
      new Map([...origins].map(([origin, content]) => [origin, content?.resources])),
    );
    let news = changes.length > 0 || !this.#delivered;
    for (const [origin, content] of origins) {
      const findings = content?.findings ?? [];
      if (!sameFindings(findings, this.#originFindings.get(origin) ?? [])) news = true;
      if (findings.length > 0) this.#originFindings.set(origin, findings);
      else this.#originFindings.delete(origin);
    }
    this.#delivered = true;
    if (news) this.#options.onUpdate(this.#update(changes));
    this.#options.onOrigins?.(origins.keys());
  }

  #update(changes: readonly ResourceChange[]): ControlUpdate {
    const mesh = this.#translator.apply(changes);
    this.#check(changes);
    this.#secrets.follow(this.#translator.namedSecrets);
    const enrolled = this.#options.enrolment?.apply(changes) ?? NOBODY;
    this.#findings = undefined;
    const findings = (): readonly Finding[] => this.findings();
    return {
      mesh,
      enrolled,
      get findings() {
        return findings();
      },
    };
  }

  /** What is said about the mesh must not stand in the way of the mesh. */
  #check(changes: readonly ResourceChange[]): void {
    try {
      this.#checks.apply(changes);
    } catch (err) {
      this.#options.log.error({ err }, 'resources could not be checked against one another');
    }
  }

  #logSoon(): void {
    // A Secret that is still to be read is not missing.
    if (this.#closed || this.#logTimer !== undefined || this.#secrets.areAwaited) return;
    const paid = (performance.now() - this.#loggedMs) * LOG_SHARE;
    const pause = (this.#logDebtMs - paid - LOG_BURST_MS) / LOG_SHARE;
    if (pause <= 0) {
      this.#logFindings();
      return;
    }
    this.#logTimer = setTimeout(() => {
      this.#logTimer = undefined;
      this.#logFindings();
    }, pause);
    this.#logTimer.unref();
  }

  /** Each finding once, when it first shows up. */
  #logFindings(): void {
    const startMs = performance.now();
    const paid = (startMs - this.#loggedMs) * LOG_SHARE;
    const lines = new Set<string>();
    for (const finding of this.findings()) {
      const line = formatFinding(finding);
      lines.add(line);
      if (this.#logged.has(line)) continue;
      const { code, file, resource, path } = finding;
      const level = finding.severity === 'error' ? 'error' : 'warn';
      this.#options.log[level]({ code, file, resource, path }, line);
    }
    this.#logged = lines;
    this.#loggedMs = performance.now();
    this.#logDebtMs = Math.max(0, this.#logDebtMs - paid) + this.#loggedMs - startMs;
  }
}

function sameFindings(a: readonly Finding[], b: readonly Finding[]): boolean {
  return (
    a.length === b.length &&
    a.every((finding, index) => formatFinding(finding) === formatFinding(b[index]!))
  );
}
