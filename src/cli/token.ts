/**
 * `podwire token`: lets machines outside Kubernetes join, lists them, and ends what they have.  Works on control's state
 * folder, so it runs where control runs, as its user; a control that is running sees the change at once.
 */
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_CONTROL_STATE_DIR } from '../config/defaults.ts';
import type { ServiceAccountName } from '../control/auth/access-rules.ts';
import { DEFAULT_TOKEN_TTL_MS, JoinRegistry } from '../control/auth/join-registry.ts';
import { outputOption, render, renderTable, type OutputFormat } from './output.ts';

interface FolderOptions {
  readonly stateDir: string;
  readonly output: OutputFormat;
}

interface CreateOptions extends FolderOptions {
  readonly name: string;
  readonly identity: readonly ServiceAccountName[];
  readonly ttl: number;
}

interface Row {
  readonly name: string;
  readonly state: 'waiting' | 'joined';
  readonly token: string;
  readonly identities: readonly string[];
  /** of the token's end, or of when the node joined */
  readonly time: string;
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };
const DURATION = /^(\d{1,6})([smhd])$/;
const MAX_TTL_MS = 30 * 86_400e3;

export function tokenCommand(): Command {
  return new Command('token')
    .description('Tokens by which machines outside Kubernetes join, each once and under one name.')
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand());
}

function createCommand(): Command {
  return folderCommand('create')
    .description('Make a token and print it; it is stored nowhere else.')
    .requiredOption('--name <node>', 'the name under which the machine joins')
    .option(
      '--identity <namespace/account>',
      'an identity it may hold besides those of its pods in the configuration; may be repeated',
      appendIdentity,
      [],
    )
    .option(
      '--ttl <duration>',
      'how long it can be used: 30m, 1h, 2d',
      parseTtl,
      DEFAULT_TOKEN_TTL_MS,
    )
    .action(async ({ stateDir, name, identity, ttl, output }: CreateOptions) => {
      const registry = await openRegistry(stateDir);
      const token = await registry.create({ name, identities: identity, ttlMs: ttl });
      const expires = new Date(Date.now() + ttl).toISOString();
      console.log(render(output, { name, token, expires }, () => token));
    });
}

function listCommand(): Command {
  return folderCommand('list')
    .description('List tokens that wait to be used, and nodes that joined.')
    .action(async ({ stateDir, output }: FolderOptions) => {
      const rows = await rowsOf(await openRegistry(stateDir));
      console.log(render(output, rows, () => page(rows)));
    });
}

function revokeCommand(): Command {
  return folderCommand('revoke')
    .description('End the tokens and certificates of a node.')
    .requiredOption('--name <node>', 'the name it joined under')
    .action(async ({ stateDir, name, output }: FolderOptions & { name: string }) => {
      const ended = await (await openRegistry(stateDir)).revoke(name);
      console.log(render(output, { name, ended }, () => `${name}: ${ended} ended`));
    });
}

function folderCommand(name: string): Command {
  return new Command(name)
    .addOption(
      new Option('--state-dir <dir>', "control's state folder").default(DEFAULT_CONTROL_STATE_DIR),
    )
    .addOption(outputOption());
}

/** Where control looks too. */
function openRegistry(stateDir: string): Promise<JoinRegistry> {
  return JoinRegistry.open(join(stateDir, 'join'));
}

async function rowsOf(registry: JoinRegistry): Promise<Row[]> {
  const nodes = await registry.nodes();
  const spent = new Set(nodes.map(({ enrolment }) => enrolment));
  const waiting = (await registry.tokens()).filter(({ id }) => !spent.has(id));
  return [
    ...waiting.map(({ id, name, identities, expiresAt }) =>
      row('waiting', id, name, identities, expiresAt),
    ),
    ...nodes.map(({ enrolment, name, identities, enrolledAt }) =>
      row('joined', enrolment, name, identities, enrolledAt),
    ),
  ];
}

function row(
  state: Row['state'],
  token: string,
  name: string,
  accounts: readonly ServiceAccountName[],
  time: number,
): Row {
  const identities = accounts.map((account) => `${account.namespace}/${account.serviceAccount}`);
  return { name, state, token, identities, time: new Date(time).toISOString() };
}

function page(rows: readonly Row[]): string {
  return renderTable<Row>(
    [
      { head: 'NAME', cell: ({ name }) => name },
      { head: 'STATE', cell: ({ state }) => state },
      { head: 'TOKEN', cell: ({ token }) => token },
      { head: 'IDENTITIES', cell: ({ identities }) => identities.join(' ') || '-' },
      { head: 'ENDS/JOINED', cell: ({ time }) => time },
    ],
    rows,
    'no token waits and no node has joined',
  );
}

function appendIdentity(text: string, before: readonly ServiceAccountName[]): ServiceAccountName[] {
  const [namespace, serviceAccount, ...rest] = text.split('/');
  if (!namespace || !serviceAccount || rest.length > 0) {
    throw new InvalidArgumentError('write NAMESPACE/SERVICE-ACCOUNT');
  }
  return [...before, { namespace, serviceAccount }];
}

function parseTtl(text: string): number {
  const [, count = '', unit = ''] = DURATION.exec(text) ?? [];
  const ms = Number(count) * (UNITS_MS[unit] ?? 0);
  if (!(ms > 0 && ms <= MAX_TTL_MS))
    throw new InvalidArgumentError('write 30m, 1h, 2d; at most 30d');
  return ms;
}
