/**
 * `podwire policies`: for each pod the policies in force, where they are decided, and their rules in words.
 */
import { Command } from 'commander';
import type { ResourceView } from '../../admin/resource-view.ts';
import type { PolicyView } from '../../admin/view.ts';
import type { Authorization } from '../../model/authorization.ts';
import { ruleTexts } from '../../model/authorization-text.ts';
import { adminOption, getAdmin } from '../client.ts';
import { outputOption, render, renderTable, type Column } from '../output.ts';
import { inspect, type InspectVerb } from './command.ts';
import { addSourceOptions, type SourceOptions } from './resources.ts';

export interface PolicyRow {
  /** '' when the policy is in force for no pod of this node */
  readonly pod: string;
  readonly policy: string;
  readonly action: string;
  readonly scope: string;
  readonly form: string;
  readonly rule: string;
}

const COLUMNS: readonly Column<PolicyRow>[] = [
  { head: 'POD', cell: ({ pod }) => pod },
  { head: 'POLICY', cell: ({ policy }) => policy },
  { head: 'ACTION', cell: ({ action }) => action },
  { head: 'SCOPE', cell: ({ scope }) => scope },
  { head: 'FORM', cell: ({ form }) => form },
  { head: 'RULE', cell: ({ rule }) => rule },
];

/** What a policy without rules says: an ALLOW matches no connection, and neither does a DENY. */
const NO_RULES = 'nothing';

export function policiesCommand(): Command {
  const command = new Command('policies')
    .description(
      'List for each pod the policies in force, where they are decided, and their rules.',
    )
    .addOption(adminOption())
    .addOption(outputOption());
  return addSourceOptions(command).action(list);
}

async function list(options: SourceOptions): Promise<void> {
  if (options.diff === true || options.from === 'control') {
    await inspect(SENT_POLICIES, options);
    return;
  }
  const policies = await getAdmin<readonly PolicyView[]>(options.admin, '/v1/policies');
  const table = (): string => renderTable(COLUMNS, policyRows(policies), 'no policies');
  console.log(render(options.output, policies, table));
}

/** By pod; policies that concern none come last. */
export function policyRows(policies: readonly PolicyView[]): PolicyRow[] {
  const rows = policies.flatMap((policy) =>
    (policy.pods.length > 0 ? policy.pods : ['']).flatMap((pod) => rowsOf(pod, policy)),
  );
  const key = ({ pod, policy }: PolicyRow): string => `${pod || '~'} ${policy}`;
  return rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}

function rowsOf(pod: string, policy: Omit<PolicyView, 'pods' | 'rules'>): PolicyRow[] {
  const { namespace, name, action, scope, form, text } = policy;
  const head = { pod, policy: `${namespace}/${name}`, action, scope, form };
  return (text.length > 0 ? text : [NO_RULES]).map((rule) => ({ ...head, rule }));
}

const SENT_POLICIES: InspectVerb<Authorization, PolicyRow> = {
  name: 'policies',
  description: '',
  kind: 'authorizations',
  columns: COLUMNS.slice(1),
  rows: (resources: readonly ResourceView<Authorization>[]) =>
    resources.flatMap(({ resource }) =>
      rowsOf('', {
        ...resource,
        form: resource.dryRun ? 'none' : 'kernel',
        text: ruleTexts(resource),
      }),
    ),
  empty: 'no policies',
};
