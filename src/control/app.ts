/**
 * Control, embedded: a folder of YAML → the messages the agent's store accepts, the pods to enrol, and findings.
 *
 * The first update is delivered before startControl resolves; later ones follow every change of the folder.  A save that
 * cannot be used leaves the last good state in force and shows up in the findings.
 */
import type { Log } from '../log.ts';
import type { ControlUpdate } from '../model/control-update.ts';
import type { Finding } from '../model/finding.ts';
import { ControlCore } from './core.ts';
import { FolderEnrolment } from './sources/file/enrolment.ts';
import { FolderSource } from './sources/file/source.ts';
import type { Source } from './sources/source.ts';
import { translateOptions } from './translate/options.ts';

export type { ControlUpdate };

export interface ControlOptions {
  readonly dir: string;
  /** besides the folder */
  readonly sources?: readonly Source[];
  readonly log: Log;
  readonly trustDomain: string;
  readonly clusterId: string;
  /** DNS domain of Services */
  readonly domain?: string;
  /** policies of this namespace apply to the whole mesh */
  readonly rootNamespace?: string;
  /** see CoreOptions */
  readonly meshConfig?: string | undefined;
  readonly onUpdate: (update: ControlUpdate) => void;
}

export interface Control {
  findings(): readonly Finding[];
  /** no update is delivered after this resolves; may be called twice */
  close(): Promise<void>;
}

/** Throws PodwireError ERR_CONFIG when the folder cannot be read or is not trusted. */
export async function startControl(options: ControlOptions): Promise<Control> {
  const { dir, sources = [], log, onUpdate } = options;
  const core = new ControlCore({
    sources: [new FolderSource(dir, log), ...sources],
    translate: translateOptions(options),
    meshConfig: options.meshConfig,
    log,
    enrolment: new FolderEnrolment(options.clusterId),
    onUpdate,
  });
  await core.start();
  return core;
}
