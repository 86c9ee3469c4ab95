/**
 * The parts of `podwire status` about xDS servers and this machine's membership, for people.
 */
import type { OnDemandStatus } from '../admin/view.ts';
import type { NodeCredentialStatus } from '../identity/node-credential-status.ts';
import type { XdsServerStatus, XdsStatus, XdsTypeStatus } from '../xds/client/status.ts';
import { formatDuration, renderFacts, renderTable } from './output.ts';

export function xdsPage(status: XdsStatus): string {
  const servers = renderTable<XdsServerStatus>(
    [
      { head: 'XDS SERVER', cell: ({ address, active }) => (active ? `${address} *` : address) },
      { head: 'STATE', cell: ({ state }) => state },
      { head: 'PROTOCOL', cell: ({ protocol }) => protocol || '-' },
      { head: 'SINCE', cell: ({ connectedSince }) => connectedSince || '-' },
      { head: 'RECONNECTS', cell: ({ reconnects }) => reconnects, align: 'right' },
      { head: 'LAST ERROR', cell: ({ error }) => error || '-' },
    ],
    status.servers,
    '',
  );
  const asked = status.types.filter(({ pushes }) => pushes > 0);
  const types = renderTable<XdsTypeStatus>(
    [
      { head: 'TYPE', cell: ({ type }) => type },
      { head: 'STATE', cell: (type) => stateOf(type, status) },
      { head: 'RESOURCES', cell: ({ resources }) => resources, align: 'right' },
      { head: 'VERSION', cell: ({ version }) => version || '-' },
      { head: 'PUSHES', cell: ({ pushes }) => pushes, align: 'right' },
      { head: 'REJECTED', cell: ({ rejects }) => rejects, align: 'right' },
      { head: 'LAST PUSH', cell: ({ lastPush }) => lastPush || '-' },
    ],
    asked,
    'no server has answered yet',
  );
  const { stale } = status;
  const notes = [
    ...(stale === null
      ? []
      : [`STALE: saved ${stale.savedAt}, ${formatDuration(stale.ageSeconds * 1000)} ago`]),
    ...(status.incomplete === '' ? [] : [`incomplete: ${status.incomplete}`]),
    ...status.waiting.map((one) => `held back: ${one}`),
    ...status.types.flatMap(({ type, refused }) =>
      refused.map(({ name, reason }) => `refused: ${type} ${name}: ${reason}`),
    ),
  ];
  return [servers, types, ...(notes.length === 0 ? [] : [notes.join('\n')])].join('\n\n');
}

/** In control's words: nacked, something of it was refused; stale, it is of an earlier run or without a server. */
function stateOf({ refused }: XdsTypeStatus, { stale, servers }: XdsStatus): string {
  if (refused.length > 0) return 'nacked';
  const up = servers.some(({ active, state }) => active && state === 'up');
  return stale !== null || !up ? 'stale' : 'synced';
}

export function nodePage({ name, expires, renews, renewals, error }: NodeCredentialStatus): string {
  return renderFacts([
    ['node', name || 'not joined'],
    ['certificate', expires ? `ends ${expires}, renewed ${renewals} times, next ${renews}` : '-'],
    ['node error', error || '-'],
  ]);
}

export function onDemandLine({ asking, found, nobody, refused }: OnDemandStatus): string {
  const told = [`${found} addresses found`, `${nobody} of nobody`, `${asking} asked for`];
  return `on demand: ${told.join(', ')}${refused > 0 ? `, ${refused} refused: too many` : ''}`;
}
