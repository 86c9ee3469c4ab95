/**
 * Locality load balancing: which localities are tried first, and how much each gets, seen from the client's own.
 */
import type { Endpoint, Locality, LocalityEndpoints } from '../../../model/load-assignment.ts';
import type { LocalityLbSetting } from '../../../model/resource/destination-rule.ts';
import type { Client } from './client.ts';

export interface PlacedEndpoint {
  readonly locality: Locality;
  readonly labels: ReadonlyMap<string, string>;
  readonly endpoint: Endpoint;
}

/** "region/zone/subzone", trailing parts left out or "*" */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subZone = ''] = text.split('/');
  return { region, zone, subZone };
}

export function localityText({ region, zone, subZone }: Locality): string {
  return [region, zone, subZone].join('/').replace(/\/+$/, '');
}

/** Whether clients of different places (or labels) get different priorities or weights. */
export function looksAtClient(
  setting: LocalityLbSetting | undefined,
  hasOutlierDetection: boolean,
): boolean {
  if (setting === undefined || setting.enabled === false) return false;
  if ((setting.distribute ?? []).length > 0) return true;
  // Failover needs to know what has failed, as Istio has it.
  return hasOutlierDetection;
}

/** One group per locality, all alike. */
export function everywhere(endpoints: readonly PlacedEndpoint[]): LocalityEndpoints[] {
  return group(endpoints, () => 0);
}

export function fromClient(
  endpoints: readonly PlacedEndpoint[],
  setting: LocalityLbSetting,
  client: Client,
): LocalityEndpoints[] {
  const { locality } = client;
  const distribute = setting.distribute ?? [];
  if (distribute.length > 0) {
    const rule =
      locality && distribute.find(({ from = '*' }) => contains(parseLocality(from), locality));
    return rule?.to === undefined ? everywhere(endpoints) : weigh(everywhere(endpoints), rule.to);
  }
  const labels = setting.failoverPriority ?? [];
  if (labels.length > 0)
    return compact(group(endpoints, (placed) => labelRank(placed, labels, client)));
  if (locality === undefined) return everywhere(endpoints);
  const next = (setting.failover ?? []).find(({ from }) => from === locality.region)?.to;
  return compact(group(endpoints, (placed) => placeRank(placed.locality, locality, next)));
}

/** 0: same subzone … 3: the region to fail over to … 4: anywhere else */
function placeRank(place: Locality, own: Locality, next: string | undefined): number {
  if (place.region !== own.region) return next === undefined || place.region === next ? 3 : 4;
  if (place.zone !== own.zone) return 2;
  return place.subZone === own.subZone ? 0 : 1;
}

/** How many of the labels, in order, are not the client's: the first that differs decides. */
function labelRank(placed: PlacedEndpoint, labels: readonly string[], client: Client): number {
  const shared = labels.findIndex((item) => {
    const [name = '', stated] = item.split('=');
    const wanted = stated ?? clientValue(client, name);
    return endpointValue(placed, name) !== wanted;
  });
  return shared < 0 ? 0 : labels.length - shared;
}

const PLACE_LABELS: Readonly<Record<string, keyof Locality>> = {
  'topology.kubernetes.io/region': 'region',
  'topology.kubernetes.io/zone': 'zone',
  'topology.istio.io/subzone': 'subZone',
};

function clientValue(client: Client, name: string): string | undefined {
  const part = PLACE_LABELS[name];
  return part === undefined ? client.label(name) : client.locality?.[part];
}

function endpointValue({ labels, locality }: PlacedEndpoint, name: string): string | undefined {
  const part = PLACE_LABELS[name];
  return part === undefined ? labels.get(name) : locality[part];
}

function group(
  endpoints: readonly PlacedEndpoint[],
  rank: (placed: PlacedEndpoint) => number,
): LocalityEndpoints[] {
  const groups = new Map<string, { locality: Locality; priority: number; endpoints: Endpoint[] }>();
  for (const placed of endpoints) {
    const priority = rank(placed);
    const key = `${String(priority).padStart(3, '0')} ${localityText(placed.locality)}`;
    const found = groups.get(key) ?? { locality: placed.locality, priority, endpoints: [] };
    found.endpoints.push(placed.endpoint);
    groups.set(key, found);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, found]) => ({ ...found, weight: undefined }));
}

/** Priorities without a gap, as Envoy wants them. */
function compact(groups: readonly LocalityEndpoints[]): LocalityEndpoints[] {
  const ranks = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b);
  return groups.map((found) => ({ ...found, priority: ranks.indexOf(found.priority) }));
}

/** Each share is spread over the localities it names; those that no share names get nothing. */
function weigh(
  groups: readonly LocalityEndpoints[],
  to: Readonly<Record<string, number>>,
): LocalityEndpoints[] {
  const rules = Object.entries(to).map(([text, share]) => ({ place: parseLocality(text), share }));
  const ruleOf = ({ locality }: LocalityEndpoints) =>
    rules
      .filter(({ place }) => contains(place, locality))
      .sort((a, b) => depth(b.place) - depth(a.place))[0];
  const weights = groups.map((found) => {
    const rule = ruleOf(found);
    if (rule === undefined) return 0;
    const sharing = groups.filter((other) => ruleOf(other) === rule);
    const total = sharing.reduce((sum, other) => sum + endpointWeight(other), 0);
    return Math.max(1, Math.round((rule.share * 100 * endpointWeight(found)) / (total || 1)));
  });
  return groups.flatMap((found, index) => {
    const weight = weights[index] ?? 0;
    return weight > 0 ? [{ ...found, weight }] : [];
  });
}

function endpointWeight({ endpoints }: LocalityEndpoints): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0);
}

function depth({ region, zone, subZone }: Locality): number {
  return [region, zone, subZone].filter((part) => part !== '' && part !== '*').length;
}

function contains(outer: Locality, inner: Locality): boolean {
  return (['region', 'zone', 'subZone'] as const).every(
    (part) => outer[part] === '' || outer[part] === '*' || outer[part] === inner[part],
  );
}
