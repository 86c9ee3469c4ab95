/**
 * NetworkPolicy → NetworkPolicyResource. One that cannot be read isolates its whole namespace here: what the CNI makes of it
 * is not known, so nothing is spliced there.
 */
import { parsePrefix, type Prefix } from '../../model/ip.ts';
import {
  EVERYTHING,
  type LabelExpression,
  type LabelSelector,
  type NetworkPeer,
  type NetworkPolicy,
  type NetworkPort,
  type NetworkRule,
} from '../../model/network-policy.ts';
import type { NetworkPolicyResource } from '../../model/resource.ts';
import { describe, Fields, type Report } from './fields.ts';
import { readMetadata } from './metadata.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;
const TYPES = ['Ingress', 'Egress'];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];

type Content = Pick<NetworkPolicy, 'podSelector' | 'ingress' | 'egress'>;

export function readNetworkPolicy(
  root: Fields,
  file: string,
  report: Report,
): NetworkPolicyResource | undefined {
  const metadata = readMetadata(root, 'NetworkPolicy', file);
  if (metadata === undefined) return undefined;
  let refused = false;
  const spec = Fields.of(root.raw('spec') ?? {}, 'spec', (problem) => {
    refused = true;
    report(problem);
  });
  const content = spec && readSpec(spec);
  const closed: Content = { podSelector: EVERYTHING, ingress: [], egress: [] };
  return {
    ...metadata.meta,
    ...(content === undefined || refused ? closed : content),
    kind: 'NetworkPolicy',
  };
}

function readSpec(spec: Fields): Content {
  spec.only(['podSelector', 'policyTypes', 'ingress', 'egress']);
  const types = spec.strings('policyTypes');
  for (const type of types) {
    if (!TYPES.includes(type)) {
      spec.invalid('policyTypes', `${describe(type)} is no policy type`, `use ${TYPES.join(', ')}`);
    }
  }
  const given = types.length > 0;
  const ingress = readRules(spec, 'ingress', 'from');
  const egress = readRules(spec, 'egress', 'to');
  return {
    podSelector: readSelector(spec.mapping('podSelector')),
    ingress: !given || types.includes('Ingress') ? ingress : undefined,
    egress: (given ? types.includes('Egress') : egress.length > 0) ? egress : undefined,
  };
}

function readRules(spec: Fields, direction: string, side: 'from' | 'to'): NetworkRule[] {
  return spec.mappings(direction).map((rule) => {
    rule.only([side, 'ports']);
    const ports = rule.mappings('ports');
    return {
      peers: rule.mappings(side).flatMap((peer) => readPeer(peer) ?? []),
      ports: ports.length === 0 ? undefined : ports.flatMap(readPort),
    };
  });
}

function readPeer(peer: Fields): NetworkPeer | undefined {
  peer.only(['podSelector', 'namespaceSelector', 'ipBlock']);
  if (!peer.has('ipBlock')) {
    const selector = (key: string): LabelSelector | undefined =>
      peer.has(key) ? readSelector(peer.mapping(key)) : undefined;
    const [pods, namespaces] = [selector('podSelector'), selector('namespaceSelector')];
    if (pods !== undefined || namespaces !== undefined) return { type: 'pods', pods, namespaces };
    peer.missing('podSelector');
    return undefined;
  }
  if (peer.has('podSelector') || peer.has('namespaceSelector')) {
    peer.invalid('ipBlock', 'stands beside a selector', 'make two peers of it');
  }
  const block = peer.mapping('ipBlock');
  block.only(['cidr', 'except']);
  const cidr = readPrefix(block, 'cidr', block.required('cidr'));
  const except = block.strings('except').flatMap((text) => readPrefix(block, 'except', text) ?? []);
  return cidr && { type: 'ipBlock', cidr, except };
}

function readPrefix(block: Fields, key: string, text: string | undefined): Prefix | undefined {
  const prefix = text === undefined ? undefined : parsePrefix(text);
  if (prefix === undefined && text !== undefined) {
    block.invalid(key, `${describe(text)} is no CIDR`, 'write ADDRESS/BITS');
  }
  return prefix;
}

/** None for a protocol that is never spliced. */
function readPort(fields: Fields): NetworkPort[] {
  fields.only(['protocol', 'port', 'endPort']);
  const protocol = fields.string('protocol') ?? 'TCP';
  if (!PROTOCOLS.includes(protocol)) {
    fields.invalid('protocol', `${describe(protocol)} is unknown`, `use ${PROTOCOLS.join(', ')}`);
  }
  const port = fields.has('port') ? fields.portOrName('port', 0) : undefined;
  const endPort = fields.has('endPort') ? fields.port('endPort') : undefined;
  if (endPort !== undefined && (typeof port !== 'number' || endPort < port)) {
    fields.invalid('endPort', 'needs a port that is a number, and not larger', 'set port');
  }
  return protocol === 'TCP' ? [{ port, endPort }] : [];
}

function readSelector(selector: Fields): LabelSelector {
  selector.only(['matchLabels', 'matchExpressions']);
  return {
    matchLabels: selector.stringMap('matchLabels'),
    matchExpressions: selector.mappings('matchExpressions').flatMap((expression) => {
      expression.only(['key', 'operator', 'values']);
      const key = expression.required('key');
      const operator = readOperator(expression);
      if (key === undefined || operator === undefined) return [];
      return [{ key, operator, values: expression.strings('values') }];
    }),
  };
}

function readOperator(expression: Fields): LabelExpression['operator'] | undefined {
  const text = expression.required('operator');
  const operator = OPERATORS.find((known) => known === text);
  if (operator === undefined && text !== undefined) {
    expression.invalid('operator', `${describe(text)} is unknown`, `use ${OPERATORS.join(', ')}`);
  }
  return operator;
}
