/**
 * Control, embedded: a folder of YAML → the two messages the agent's store accepts, the pods to enrol, and findings.
 *
 *   folder ─► validate ─► resource index (conflicts) ─► translate ─► onUpdate
 *
 * The first update is delivered before startControl resolves; later ones follow every change of the folder.  A save that
 * cannot be used leaves the last good state in force and shows up in the findings.
 */
import { PodwireError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { ControlUpdate } from '../model/control-update.ts';
import { byPlace, formatFinding, type Finding } from '../model/finding.ts';
import { ResourceIndex } from './resource-index.ts';
import { FolderEnrolment } from './sources/file/enrolment.ts';
import { ConfigFolder, FolderError, type FolderScan } from './sources/file/folder.ts';
import { watchFolder } from './sources/file/watcher.ts';
import { MeshTranslator } from './translate/mesh.ts';

export type { ControlUpdate };

export interface ControlOptions {
  readonly dir: string;
  readonly log: Log;
  readonly trustDomain: string;
  readonly clusterId: string;
  /** DNS domain of Services */
  readonly domain?: string;
  /** policies of this namespace apply to the whole mesh */
  readonly rootNamespace?: string;
  readonly onUpdate: (update: ControlUpdate) => void;
}

export interface Control {
  findings(): readonly Finding[];
  /** no update is delivered after this resolves; may be called twice */
  close(): Promise<void>;
}

const DEFAULT_DOMAIN = 'cluster.local';
const DEFAULT_ROOT_NAMESPACE = 'istio-system';

/** Throws PodwireError ERR_CONFIG when the folder cannot be read or is not trusted. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { dir, log, onUpdate } = options;
  const folder = new ConfigFolder(dir);
  const state = new FolderState(options);
  try {
    onUpdate(state.apply(await folder.scan()));
  } catch (error) {
    if (!(error instanceof FolderError)) throw error;
    throw new PodwireError('ERR_CONFIG', error.message, { cause: error, hint: error.fix });
  }
  state.logFindings(log);

  const watcher = watchFolder(dir, async () => {
    try {
      const update = state.apply(await folder.scan().catch(refusal));
      if (!state.changed) return;
      state.logFindings(log);
      onUpdate(update);
    } catch (err) {
      log.error({ err, dir }, 'a change of the config folder could not be applied');
    }
  });
  return { findings: () => state.findings, close: () => watcher.close() };
}

/** The folder itself is unusable for now: everything stays as it was. */
function refusal(error: unknown): FolderScan | FolderError {
  if (error instanceof FolderError) return error;
  throw error;
}

class FolderState {
  readonly #index = new ResourceIndex();
  readonly #translator: MeshTranslator;
  readonly #fileFindings = new Map<string, readonly Finding[]>();
  readonly #enrolment: FolderEnrolment;
  #logged = new Set<string>();
  findings: readonly Finding[] = [];
  /** whether the last apply changed anything */
  changed = false;

  constructor({ clusterId, trustDomain, domain, rootNamespace }: ControlOptions) {
    this.#enrolment = new FolderEnrolment(clusterId);
    this.#translator = new MeshTranslator({
      clusterId,
      trustDomain,
      domain: domain ?? DEFAULT_DOMAIN,
      rootNamespace: rootNamespace ?? DEFAULT_ROOT_NAMESPACE,
    });
  }

  apply(scan: FolderScan | FolderError): ControlUpdate {
    const files = scan instanceof FolderError ? new Map<string, undefined>() : scan.changed;
    const changes = this.#index.apply(
      new Map([...files].map(([file, content]) => [file, content?.resources])),
    );
    const mesh = this.#translator.apply(changes);
    const enrolled = this.#enrolment.apply(changes);
    for (const [file, content] of files) {
      if (content === undefined) this.#fileFindings.delete(file);
      else this.#fileFindings.set(file, content.findings);
    }
    const folderFindings = scan instanceof FolderError ? [folderFinding(scan)] : [];
    const findings = [
      ...folderFindings,
      ...[...this.#fileFindings.values()].flat(),
      ...this.#index.findings(),
      ...this.#translator.findings(),
    ].sort(byPlace);
    this.changed = changes.length > 0 || !sameFindings(findings, this.findings);
    this.findings = findings;
    return { mesh, enrolled, findings };
  }

  /** Each finding once, when it first shows up. */
  logFindings(log: Log): void {
    const lines = new Set<string>();
    for (const finding of this.findings) {
      const line = formatFinding(finding);
      lines.add(line);
      if (this.#logged.has(line)) continue;
      const { code, file, resource, path } = finding;
      const level = finding.severity === 'error' ? 'error' : 'warn';
      log[level]({ code, file, resource, path }, line);
    }
    this.#logged = lines;
  }
}

function folderFinding(error: FolderError): Finding {
  return {
    code: error.code,
    severity: 'error',
    file: '',
    resource: '',
    path: '',
    message: `${error.message}; the last good state stays in force`,
    fix: error.fix,
  };
}

function sameFindings(a: readonly Finding[], b: readonly Finding[]): boolean {
  return (
    a.length === b.length &&
    a.every((finding, index) => formatFinding(finding) === formatFinding(b[index]!))
  );
}
