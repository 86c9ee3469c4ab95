/**
 * `podwire cleanup`: takes everything off this node, also when no agent can run any more.
 */
import { lstatSync, rmSync } from 'node:fs';
import { Command } from 'commander';
import { answers } from '../admin/socket.ts';
import { DEFAULT_BPFFS, DEFAULT_STATE_DIR } from '../config/defaults.ts';
import { PodwireError } from '../errors.ts';
import { lockHolder, removePins, removeState, type CleanupReport } from '../kernel/cleanup.ts';
import { Generations } from '../kernel/generations.ts';
import { adminOption } from './client.ts';
import { outputOption, render, type OutputFormat } from './output.ts';

interface CleanupOptions {
  readonly bpffs: string;
  readonly stateDir: string;
  readonly admin: string;
  readonly force?: boolean;
  readonly output: OutputFormat;
}

export function cleanupCommand(): Command {
  return new Command('cleanup')
    .description(
      'Remove all programs, maps and state of podwire from this node.\n' +
        'Needs no agent. Live connections go on; spliced ones stay spliced until they end.',
    )
    .option('--bpffs <path>', 'BPF file system with the pins', DEFAULT_BPFFS)
    .option('--state-dir <dir>', 'state folder of the agent', DEFAULT_STATE_DIR)
    .addOption(adminOption())
    .option('--force', 'also when an agent is running: it will no longer do anything useful')
    .addOption(outputOption())
    .action(cleanUp);
}

async function cleanUp(options: CleanupOptions): Promise<void> {
  if (!options.force) await refuseWhileRunning(options);
  const reports = [removePins(options.bpffs), removeState(options.stateDir)];
  reports.push(await removeStaleSocket(options.admin));
  const report: CleanupReport = {
    removed: reports.flatMap(({ removed }) => removed),
    failed: reports.flatMap(({ failed }) => failed),
  };
  console.log(render(options.output, report, () => page(report)));
  if (report.failed.length === 0) return;
  const root = process.getuid?.() === 0;
  throw new PodwireError(
    root ? 'ERR_INTERNAL' : 'ERR_NOT_ROOT',
    `${report.failed.length} of podwire's files could not be removed`,
    { hint: root ? 'see the messages above' : 'run the command as root' },
  );
}

async function refuseWhileRunning({ bpffs, admin }: CleanupOptions): Promise<void> {
  const holder = lockHolder(new Generations(bpffs).root);
  if (holder === undefined && !(await agentAnswers(admin))) return;
  const who = holder === undefined || holder === 0 ? 'an agent' : `an agent (pid ${holder})`;
  throw new PodwireError('ERR_LOCKED', `${who} is running on this node`, {
    hint: 'stop it first, or remove what it uses from under it with --force',
  });
}

async function agentAnswers(socket: string): Promise<boolean> {
  return isSocket(socket) && (await answers(socket));
}

async function removeStaleSocket(socket: string): Promise<CleanupReport> {
  if (!isSocket(socket) || (await answers(socket))) return { removed: [], failed: [] };
  try {
    rmSync(socket);
    return { removed: [socket], failed: [] };
  } catch (error) {
    return { removed: [], failed: [{ path: socket, message: (error as Error).message }] };
  }
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
}

function page({ removed, failed }: CleanupReport): string {
  if (removed.length + failed.length === 0) return 'nothing of podwire is on this node';
  return [
    ...removed.map((path) => `removed ${path}`),
    ...failed.map(({ path, message }) => `could not remove ${path}: ${message}`),
  ].join('\n');
}
